"""Any OpenAI-compatible server as a language model: one HTTP request, without OpenAI's SDK.

By aiohttp a call costs 0.1 ms of processor time, whatever the length. The SDK takes a third of a
second to import, and for `chat.completions.create`, which walks every message through type
transforms, 2.3 ms for six messages and 130 ms for a thousand (decision 10).
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from aiohttp import hdrs
from yarl import URL

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
from prosa.application.ports.secret_store import Secret
from prosa.domain.errors import ConfigurationError, PortFailure
from prosa.domain.identifiers import Clock
from prosa.domain.reply import Reply

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

REDIRECTS = 300
UNAUTHORIZED = 401
CONNECT_SECONDS = 5.0
LINGER_SECONDS = 0.1
"""How long after a stream's last event its end is awaited, so that the connection can be reused."""

_TAKES_NO_TEMPERATURE = re.compile(r"o\d|gpt-5")
"""Reasoning models: they refuse any temperature but the default."""

_BROKEN = (
    aiohttp.ClientError,
    OSError,
    # So the library says that it was closed.
    RuntimeError,
)
"""What is raised when there is no connection, or not any more."""

_HEADERS: Mapping[str, str] = {
    hdrs.ACCEPT: "application/json",
    # Nothing is unpacked: a small body could become a large one.
    hdrs.ACCEPT_ENCODING: "identity",
    hdrs.CONTENT_TYPE: "application/json",
    hdrs.USER_AGENT: "prosa",
}
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
"""Of the connection only: the whole is bounded by the request's deadline."""


class OpenAILanguageModel(LanguageModel):
    """A model behind OpenAI's API or a server compatible with it. Close it with `aclose`."""

    def __init__(
        self,
        *,
        model: str,
        context_tokens: int,
        clock: Clock,
        api_key: Secret | None = None,
        base_url: str | None = None,
    ) -> None:
        """Prepare the client, in the event loop in which it works; nothing is sent.

        The key is read for each call, and doubted where it is refused, so that a rotated one needs
        no restart. `base_url` ends where `/chat/completions` begins; None is OpenAI itself, which
        needs a key. Raises ConfigurationError.
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
        self._told_by = ", where PROSA_OPENAI_BASE_URL leads" if self._compatible else ""
        url = _completions_of(OPENAI_URL if base_url is None else base_url)
        self._name = f"openai:{model}"
        # Ollama knows only the old name of the limit, OpenAI's newer models only the new one.
        self._limit = "max_tokens" if self._compatible else "max_completion_tokens"
        self._takes_temperature = not _TAKES_NO_TEMPERATURE.match(model)
        # Left in the address, it would be refused beside a key.
        self._url = url.with_user(None)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=IDLE_SECONDS),
            # A key, where there is one, takes the password's place.
            headers={**_HEADERS, **_basic(url)},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=_TIMEOUT,
            proxy=_proxy_for(url),
        )

    @property
    def name(self) -> str:
        """As `PROSA_MODELS` writes it: `openai:gpt-4o-mini`."""
        return self._name

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
            completion = Completion(self._name)
            response = await self._sent(request, body)
            async with response:
                if response.status >= REDIRECTS:
                    raise await self._failure(response)
                if on_text and not _is_json(response):
                    await self._streamed(response, completion, on_text)
                else:
                    text = completion.add(self._parsed(await self._whole(response)))
                    if on_text and text:
                        await on_text(text)
            return completion.reply(provider="openai", model=self._model)

    async def aclose(self) -> None:
        """Close the connections. The model cannot be used after this."""
        await self._http.close()

    def _body(self, request: ModelRequest, *, streamed: bool) -> bytes:
        body = request_body(request)
        body["model"] = self._model
        body[self._limit] = request.max_output_tokens
        if not self._takes_temperature:
            del body["temperature"]
        if streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            return orjson.dumps(body)
        except orjson.JSONEncodeError as error:
            raise ModelRejectedRequest("the conversation is not valid Unicode") from error

    async def _authorization(self, api_key: Secret) -> Mapping[str, str]:
        try:
            key = await api_key.read()
        except PortFailure as error:
            kind = ModelUnavailable if error.transient else ModelMisconfigured
            raise kind(f"the API key of {self._name}: {error}") from error
        if not (key and key.isascii() and key.isprintable()):
            raise ModelMisconfigured(f"the API key of {self._name} is empty or has odd characters")
        return {hdrs.AUTHORIZATION: f"Bearer {key}"}

    async def _sent(self, request: ModelRequest, body: bytes) -> aiohttp.ClientResponse:
        """Send the request and wait for the answer's headers; its body is still to be read."""
        key = self._api_key
        headers = None if key is None else await self._authorization(key)
        request.budget.spend()
        try:
            return await self._http.post(
                self._url,
                data=body,
                headers=headers,
                # A conversation goes where the settings say, and nowhere else.
                allow_redirects=False,
            )
        except _BROKEN as error:
            raise self._broken(error) from error

    async def _failure(self, response: aiohttp.ClientResponse) -> LanguageModelError:
        """Read as much of an answer that is an error as says what it is."""
        beginning = b""
        while len(beginning) < MAX_ERROR_BYTES and (piece := await self._piece(response)):
            beginning = (beginning + piece)[:MAX_ERROR_BYTES]
        if response.status == UNAUTHORIZED and self._api_key is not None:
            self._api_key.doubt()
        return failure(
            _json_or_none(beginning),
            status=response.status,
            source=self._name,
            retry_after=retry_after(response.headers, self._clock()),
        )

    async def _whole(self, response: aiohttp.ClientResponse) -> bytearray:
        body = bytearray()
        while piece := await self._piece(response):
            body += piece
        return body

    async def _streamed(
        self, response: aiohttp.ClientResponse, completion: Completion, on_text: OnText
    ) -> None:
        stream = EventStream()
        ended = False
        while not ended:
            piece = await self._piece(response)
            ended = not piece
            # At the end nothing else may end the last line.
            for event in stream.feed(piece or b"\n"):
                if event == DONE:
                    await self._drain(response)
                    return
                if text := completion.add(self._parsed(event)):
                    await on_text(text)

    async def _drain(self, response: aiohttp.ClientResponse) -> None:
        """Read the little behind a stream's last event, or the connection could not be reused."""
        if response.content.at_eof():
            return
        # The answer is complete, whatever becomes of the connection.
        with suppress(TimeoutError, ModelUnavailable, ModelReplyMalformed):
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._piece(response):
                    pass

    async def _piece(self, response: aiohttp.ClientResponse) -> bytes:
        """Read what came in of a body, up to `MAX_BODY_BYTES` in all; nothing is its end."""
        content = response.content
        try:
            piece = await content.readany()
        except _BROKEN as error:
            raise self._broken(error) from error
        if content.total_bytes > MAX_BODY_BYTES:
            raise ModelReplyMalformed(f"the answer of {self._name} is too large")
        return piece

    def _parsed(self, text: bytes | bytearray) -> object:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ModelReplyMalformed(f"the answer of {self._name} is not JSON") from error

    def _broken(self, error: Exception) -> LanguageModelError:
        """Say in the port's words what the libraries below raised."""
        if _timed_out(error):
            return ModelTimedOut(f"{self._name} did not answer in time")
        return ModelUnavailable(
            f"the connection to {self._name} failed: "
            f"look whether a server answers at {self._url.origin()}{self._told_by}"
        )


def _completions_of(base_url: str) -> URL:
    try:
        url = URL(f"{base_url.rstrip('/')}/chat/completions")
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigurationError(f"the base URL {base_url!r} is not an http:// or https:// address")
    return url


def _proxy_for(url: URL) -> str | None:
    """Find the proxy that the environment names, once: aiohttp would do so for each call."""
    return None if proxy_bypass(url.host or "") else getproxies().get(url.scheme)


def _basic(url: URL) -> Mapping[str, str]:
    """Write the user and password of an address as a header; a key takes their place."""
    if url.user is None and url.password is None:
        return {}
    credentials = b64encode(f"{url.user or ''}:{url.password or ''}".encode()).decode()
    return {hdrs.AUTHORIZATION: f"Basic {credentials}"}


def _json_or_none(body: bytes) -> object:
    """Read the body of an error; one that is cut, or no JSON, says nothing beyond its status."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _is_json(response: aiohttp.ClientResponse) -> bool:
    """Whether it is one object, as some servers answer that do not stream, or not their errors."""
    return response.headers.get("content-type", "").startswith("application/json")


def _timed_out(error: BaseException) -> bool:
    """Whether a timeout is at the root."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return True
        cause = cause.__cause__
    return False
