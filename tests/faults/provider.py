"""A provider that fails as it is told to, model by model, and counts what it was asked."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from embedded_aws.loopback_server import (
    CLOSE,
    HANG,
    LAST_CHUNK,
    LoopbackServer,
    Received,
    Step,
    chunked,
    response,
)
from tests.adapters.openai.provider import (
    STREAM_HEAD,
    WORDS,
    answer,
    delta,
    error,
    event,
    event_stream,
    good_answer,
    running_provider,
)

Fault = Callable[[Received], Iterable[Step]]
"""How to answer a request: bytes to send, seconds to pause, None to close the connection."""

DRIP_SECONDS = 0.05
DRIPS = 600
"""Half a minute of signs of life, which is longer than any deadline of a test."""

MEGABYTE = b"x" * 1_000_000
HUGE_MEGABYTES = 50


class FaultyProvider:
    """Answers as OpenAI does; `faults` says which models do not, and how."""

    def __init__(self, provider: LoopbackServer) -> None:
        self.faults: dict[str, Fault] = {}
        self.url = provider.url
        self._provider = provider
        provider.otherwise = self._steps

    @property
    def requests(self) -> list[Received]:
        """All that was asked, oldest first."""
        return self._provider.requests

    @property
    def calls(self) -> Counter[str]:
        """How often each model was asked."""
        return Counter(str(received.body["model"]) for received in self.requests)

    @property
    def calls_by_message(self) -> Counter[str]:
        """How often each customer's message was the one to answer, whatever the model."""
        return Counter(asked_in(received) for received in self.requests)

    async def asked(self) -> None:
        """Wait until anything was asked."""
        await self._provider.asked.wait()

    def forget(self) -> None:
        """Count anew."""
        self.requests.clear()

    def _steps(self, received: Received) -> Iterable[Step]:
        return self.faults.get(str(received.body["model"]), well)(received)


@asynccontextmanager
async def faulty_provider() -> AsyncIterator[FaultyProvider]:
    """Run one on the loopback."""
    async with running_provider() as provider:
        yield FaultyProvider(provider)


def asked_in(received: Received) -> str:
    """Give the text that the request wants an answer to."""
    messages = received.body["messages"]
    assert isinstance(messages, list)
    return str(messages[-1]["content"])


def is_streamed(received: Received) -> bool:
    return bool(received.body.get("stream"))


def well(received: Received) -> Iterable[Step]:
    return [good_answer(received)]


def numbered() -> Fault:
    """Answer well, and never twice the same."""
    numbers = itertools.count(1)

    def answering(received: Received) -> Iterable[Step]:
        words = (f"Resposta {next(numbers)}. ", "É isso.")
        if is_streamed(received):
            return [event_stream([delta({"content": word}) for word in words])]
        return [answer("".join(words))]

    return answering


def after(seconds: float) -> Fault:
    """Answer well, but late."""

    def late(received: Received) -> Iterable[Step]:
        return [seconds, good_answer(received)]

    return late


def held(until: Callable[[], bool], then: Fault) -> Fault:
    """Say nothing until something has happened, then answer."""

    def waiting(received: Received) -> Iterable[Step]:
        while not until():
            yield 0.01
        yield from then(received)

    return waiting


def first(fault: Fault, times: int = 1) -> Fault:
    """Fail a number of times, then recover."""
    asked = 0

    def failing_at_first(received: Received) -> Iterable[Step]:
        nonlocal asked
        asked += 1
        return fault(received) if asked <= times else well(received)

    return failing_at_first


def hang(_received: Received) -> Iterable[Step]:
    """Take the request and say nothing, not even headers."""
    return [HANG]


def drip(received: Received) -> Iterable[Step]:
    """Show life for ever, and say nothing: each read of a client gets a little."""
    sign_of_life = chunked(b": keep-alive\n\n" if is_streamed(received) else b" ")
    yield STREAM_HEAD
    for _ in range(DRIPS):
        yield sign_of_life
        yield DRIP_SECONDS


def storm(_received: Received) -> Iterable[Step]:
    return [error(500)]


def cut_before_the_first_token(received: Received) -> Iterable[Step]:
    """Break the connection once the headers are sent."""
    return [STREAM_HEAD, CLOSE] if is_streamed(received) else [CLOSE]


def cut_midway(received: Received) -> Iterable[Step]:
    """Break the connection in the middle of the answer."""
    if is_streamed(received):
        return [STREAM_HEAD, *said(), CLOSE]
    return [good_answer(received)[:-20], CLOSE]


def truncated(received: Received) -> Iterable[Step]:
    """End in the middle of the answer as if it were whole: no error, and no finish reason."""
    if is_streamed(received):
        return [STREAM_HEAD, *said(), LAST_CHUNK]
    return [answer("Seu pedido já", finish_reason=None)]


def no_finish_reason(received: Received) -> Iterable[Step]:
    """Say that it is done, but not why."""
    if is_streamed(received):
        return [STREAM_HEAD, *said(), chunked(b"data: [DONE]\n\n"), LAST_CHUNK]
    return truncated(received)


def malformed(received: Received) -> Iterable[Step]:
    broken = b'{"choices": [{"message": {"content": "Ol'
    if is_streamed(received):
        return [STREAM_HEAD, chunked(b"data: " + broken + b"\n\n"), LAST_CHUNK]
    return [response(200, broken, Content_Type="application/json")]


def empty_body(_received: Received) -> Iterable[Step]:
    return [response(200, b"", Content_Type="application/json")]


def empty_reply(received: Received) -> Iterable[Step]:
    """Be done and have said nothing."""
    if is_streamed(received):
        finish = event(delta({}, "stop"))
        return [STREAM_HEAD, chunked(finish), chunked(b"data: [DONE]\n\n"), LAST_CHUNK]
    return [answer("")]


def huge(received: Received) -> Iterable[Step]:
    """Send fifty megabytes."""
    if is_streamed(received):
        yield STREAM_HEAD
        for _ in range(HUGE_MEGABYTES):
            yield chunked(b"data: " + MEGABYTE)
        return
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    yield b"Content-Length: %d\r\n\r\n" % (HUGE_MEGABYTES * len(MEGABYTE))
    for _ in range(HUGE_MEGABYTES):
        yield MEGABYTE


def content_filter(_received: Received) -> Iterable[Step]:
    """Refuse the conversation before answering, as Azure's filter does."""
    return [error(400, code="content_filter")]


def filtered_answer(received: Received) -> Iterable[Step]:
    """Have the filter end the answer."""
    if is_streamed(received):
        finish = event(delta({}, "content_filter"))
        return [STREAM_HEAD, chunked(finish), chunked(b"data: [DONE]\n\n"), LAST_CHUNK]
    return [answer("", finish_reason="content_filter")]


def unauthorized(_received: Received) -> Iterable[Step]:
    return [error(401, code="invalid_api_key")]


def no_credit(_received: Received) -> Iterable[Step]:
    """Refuse for good what looks like a rate limit."""
    return [error(429, code="insufficient_quota", Retry_After="1")]


def rate_limited(retry_after: str) -> Fault:
    """Refuse for a while; `retry_after` as the header says it."""

    def refusing(_received: Received) -> Iterable[Step]:
        return [error(429, code="rate_limit_exceeded", Retry_After=retry_after)]

    return refusing


def http_date(seconds: float) -> str:
    """Write an instant so many seconds from now as an HTTP date, which has no fractions."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


def said() -> list[bytes]:
    """Give the beginning of an answer, of more than one sentence, as chunks of a stream."""
    return [chunked(event(delta({"content": word}))) for word in WORDS[:5]]
