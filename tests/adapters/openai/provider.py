"""A provider on the loopback: answers like OpenAI, or breaks in every way that one may break."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from embedded_aws.loopback_server import (
    LAST_CHUNK,
    LoopbackServer,
    Received,
    Step,
    chunked,
    json_response,
    served,
)

WORDS = ("Olá", ", Ana", "! ", "Seu pedido ", "já ", "está a caminho ", "🚚.")
TEXT = "".join(WORDS)
USAGE = {
    "prompt_tokens": 21,
    "completion_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 4},
}


def answered_well(received: Received) -> Iterable[Step]:
    return [good_answer(received)]


@asynccontextmanager
async def running_provider() -> AsyncIterator[LoopbackServer]:
    provider = LoopbackServer(answered_well)
    async with served(provider):
        provider.url += "/v1"
        yield provider


def good_answer(received: Received) -> bytes:
    words = ('{"answer": ', '"yes"}') if "response_format" in received.body else WORDS
    if received.body.get("stream"):
        return event_stream([delta({"content": word}) for word in words])
    return answer("".join(words))


def completion(message: object, finish_reason: object = "stop", usage: object = USAGE) -> object:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


def answer(text: str, finish_reason: object = "stop") -> bytes:
    return json_response(200, completion({"role": "assistant", "content": text}, finish_reason))


def error(status: int, *, code: object = None, message: str = "no", **headers: str) -> bytes:
    body = {"error": {"code": code, "message": message, "type": "some_error"}}
    return json_response(status, body, **headers)


def delta(message: object, finish_reason: object = None) -> object:
    return {"choices": [{"index": 0, "delta": message, "finish_reason": finish_reason}]}


FINISH = delta({}, "stop")
STREAM_USAGE = {"choices": [], "usage": USAGE}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def event_stream(chunks: Iterable[object]) -> bytes:
    events = [event(chunk) for chunk in (*chunks, FINISH, STREAM_USAGE)]
    return b"".join((STREAM_HEAD, *map(chunked, (*events, b"data: [DONE]\n\n")), LAST_CHUNK))
