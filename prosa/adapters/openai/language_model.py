"""Any OpenAI-compatible server as a language model, by the thin path through the SDK.

The SDK's own HTTP client sends a request that is prepared here: 0.2 ms of processor time, whatever
the length. `client.post` takes 0.6 ms for the same call, and `chat.completions.create`, which walks
every message through type transforms, 2.3 ms for six messages and 130 ms for a thousand.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager

import aiohttp
import httpx2
import orjson
from openai import DefaultAioHttpClient

from prosa.adapters.chat_completions import Completion, failure, request_body
from prosa.adapters.deadline import answering_by
from prosa.adapters.openai.wire_format import DONE, EventStream, retry_after
from prosa.application.ports.language_model import (
    LanguageModel,
    LanguageModelError,
    ModelMisconfigured,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelRequest,
    ModelTimedOut,
    ModelUnavailable,
    OnText,
)
from prosa.domain.errors import ConfigurationError, PortFailure
from prosa.domain.identifiers import Clock
from prosa.domain.reply import Reply

ApiKey = Callable[[], Awaitable[str]]
"""Gives the key for each call anew, so that a rotated key needs no restart."""

OPENAI_URL = "https://api.openai.com/v1"

MAX_BODY_BYTES = 8_000_000
"""The largest answer that is read, plain or streamed."""

MAX_ERROR_BYTES = 65_536
"""How much is read of an answer that is an error: its status says most."""

MAX_CONNECTIONS = 1_024
"""More would only wait in the provider's queue instead of ours."""

IDLE_SECONDS = 4.0
"""Connections are closed before the 5 s at which uvicorn and llama.cpp close theirs: a request on
a connection that the other side is closing is lost."""

CONNECT_SECONDS = 5.0
LINGER_SECONDS = 0.1
"""How long after a stream's last event its end is awaited, so that the connection can be reused."""

_TAKES_NO_TEMPERATURE = re.compile(r"o\d|gpt-5")
"""Reasoning models: they refuse any temperature but the default."""

_BROKEN = (
    httpx2.HTTPError,
    aiohttp.ClientError,
    OSError,
    # So both libraries say that they were closed.
    RuntimeError,
)
"""What is raised when there is no connection, or not any more: no layer turns all of it into its
own."""

_HEADERS: Mapping[str, str] = {
    "Accept": "application/json",
    # Nothing is unpacked: a small body could become a large one.
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": "prosa",
}
_TIMEOUT = httpx2.Timeout(None, connect=CONNECT_SECONDS).as_dict()
"""Of the connection only: the whole is bounded by the request's deadline."""


class OpenAILanguageModel(LanguageModel):
    """A model behind OpenAI's API or a server compatible with it. Close it with `aclose`."""

    def __init__(
        self,
        *,
        model: str,
        context_tokens: int,
        clock: Clock,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
    ) -> None:
        """Prepare the client; nothing is sent.

        `base_url` ends where `/chat/completions` begins; None is OpenAI itself, which needs a key.
        Raises ConfigurationError.
        """
        if api_key is None and base_url is None:
            raise ConfigurationError(
                f"openai:{model} needs an API key, or the base URL of a server that needs none"
            )
        self._model = model
        self._context_tokens = context_tokens
        self._clock = clock
        self._api_key = api_key
        self._compatible = base_url is not None
        url = _completions_of(OPENAI_URL if base_url is None else base_url)
        self._password = _basic(url)
        # Left in the address, the libraries below would each send it in a way of its own, and fail.
        self._url = url.copy_with(username=None, password=None)
        self._http = DefaultAioHttpClient(
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, keepalive_expiry=IDLE_SECONDS),
            # A conversation goes where the settings say, and nowhere else.
            follow_redirects=False,
        )

    @property
    def name(self) -> str:
        """As `PROSA_MODELS` writes it: `openai:gpt-4o-mini`."""
        return f"openai:{self._model}"

    @property
    def context_tokens(self) -> int:
        """What the model's card says; nothing asks the server."""
        return self._context_tokens

    @property
    def needs_alternating_roles(self) -> bool:
        """OpenAI does not; of other servers' chat templates many do, and the rest do not mind."""
        return self._compatible

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; see the port. Makes one HTTP request and never a second."""
        async with answering_by(request.deadline, self._clock):
            body = self._body(request, streamed=on_text is not None)
            completion = Completion(self.name)
            async with self._sent(request, body) as response:
                if on_text and not _is_json(response):
                    await self._streamed(response, completion, on_text)
                else:
                    text = completion.add(self._parsed(await self._whole(response)))
                    if on_text and text:
                        await on_text(text)
            return completion.reply(provider="openai", model=self._model)

    async def aclose(self) -> None:
        """Close the connections. The model cannot be used after this."""
        await self._http.aclose()

    def _body(self, request: ModelRequest, *, streamed: bool) -> bytes:
        body = {"model": self._model, **request_body(request)}
        # Ollama knows only the old name of the limit, OpenAI's newer models only the new one.
        limit = "max_tokens" if self._compatible else "max_completion_tokens"
        body[limit] = request.max_output_tokens
        if _TAKES_NO_TEMPERATURE.match(self._model):
            del body["temperature"]
        if streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            return orjson.dumps(body)
        except orjson.JSONEncodeError as error:
            raise ModelRejectedRequest("the conversation is not valid Unicode") from error

    async def _headers(self) -> Mapping[str, str]:
        if self._api_key is None:
            return {**_HEADERS, **self._password}
        try:
            key = await self._api_key()
        except PortFailure as error:
            kind = ModelUnavailable if error.transient else ModelMisconfigured
            raise kind(f"the API key of {self.name}: {error}") from error
        if not (key and key.isascii() and key.isprintable()):
            raise ModelMisconfigured(f"the API key of {self.name} is empty or has odd characters")
        return {**_HEADERS, "Authorization": f"Bearer {key}"}

    @asynccontextmanager
    async def _sent(self, request: ModelRequest, body: bytes) -> AsyncIterator[httpx2.Response]:
        """Send the request and wait for the answer's headers; its body is still to be read."""
        prepared = httpx2.Request(
            "POST",
            self._url,
            headers=await self._headers(),
            content=body,
            extensions={"timeout": _TIMEOUT},
        )
        request.budget.spend()
        with self._errors_translated():
            response = await self._http.send(prepared, stream=True)
        async with aclosing(response):
            if not response.is_success:
                raise await self._failure(response)
            yield response

    async def _failure(self, response: httpx2.Response) -> LanguageModelError:
        """Read as much of an answer that is an error as says what it is."""
        beginning = b""
        with self._errors_translated():
            async for piece in response.aiter_raw():
                beginning = (beginning + piece)[:MAX_ERROR_BYTES]
                if len(beginning) == MAX_ERROR_BYTES:
                    break
        return failure(
            _json_or_none(beginning),
            status=response.status_code,
            source=self.name,
            retry_after=retry_after(response.headers, self._clock()),
        )

    async def _whole(self, response: httpx2.Response) -> bytes:
        return b"".join([piece async for piece in self._pieces(response)])

    async def _streamed(
        self, response: httpx2.Response, completion: Completion, on_text: OnText
    ) -> None:
        async with aclosing(self._events(response)) as events:
            async for event in events:
                if text := completion.add(event):
                    await on_text(text)

    async def _events(self, response: httpx2.Response) -> AsyncGenerator[object]:
        stream = EventStream()
        async with aclosing(self._pieces(response)) as pieces:
            async for piece in pieces:
                for event in stream.feed(piece):
                    if event == DONE:
                        await _drained(pieces)
                        return
                    yield self._parsed(event)
        for event in stream.feed(b"\n"):
            if event != DONE:
                yield self._parsed(event)

    async def _pieces(self, response: httpx2.Response) -> AsyncGenerator[bytes]:
        """Read a body as it comes in, up to `MAX_BODY_BYTES`."""
        size = 0
        with self._errors_translated():
            async for piece in response.aiter_raw():
                size += len(piece)
                if size > MAX_BODY_BYTES:
                    raise ModelReplyMalformed(f"the answer of {self.name} is too large")
                yield piece

    def _parsed(self, text: bytes) -> object:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ModelReplyMalformed(f"the answer of {self.name} is not JSON") from error

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        """Turn what the libraries below raise into the port's errors."""
        try:
            yield
        except _BROKEN as error:
            if _timed_out(error):
                raise ModelTimedOut(f"{self.name} did not answer in time") from error
            raise ModelUnavailable(f"the connection to {self.name} failed") from error


def _completions_of(base_url: str) -> httpx2.URL:
    try:
        url = httpx2.URL(f"{base_url.rstrip('/')}/chat/completions")
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"the base URL {base_url!r} is not an http:// or https:// address")
    return url


def _basic(url: httpx2.URL) -> Mapping[str, str]:
    """Write the user and password of an address as a header; a key takes their place."""
    if not url.userinfo:
        return {}
    credentials = b64encode(f"{url.username}:{url.password}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


def _json_or_none(body: bytes) -> object:
    """Read the body of an error; one that is cut, or no JSON, says nothing beyond its status."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _is_json(response: httpx2.Response) -> bool:
    """Whether it is one object, as some servers answer that do not stream, or not their errors."""
    return response.headers.get("content-type", "").startswith("application/json")


async def _drained(pieces: AsyncIterator[bytes]) -> None:
    """Read the little that follows a stream's last event, or the connection could not be reused."""
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            async for _ in pieces:
                pass
    except (TimeoutError, ModelUnavailable, ModelReplyMalformed):
        # The answer is complete, whatever becomes of the connection.
        return


def _timed_out(error: BaseException) -> bool:
    """Whether a timeout is at the root: the SDK also says so of a connection that was refused."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return True
        cause = cause.__cause__
    return False
