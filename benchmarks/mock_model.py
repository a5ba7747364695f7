"""An OpenAI-compatible model server that costs little and answers at once or after a fixed time.

Run as `python -m benchmarks.mock_model --port 9000 --latency-ms 200`; it listens on the loopback
interface only. Every answer is the same: made once, written in one piece, plain or as
server-sent events.
"""

import argparse
import asyncio
import re
from functools import partial
from typing import Final, cast

import httptools
import orjson
import uvloop

MODEL: Final = "mock"
DEAD: Final = "dead"
"""A model by this name fails each time, at once."""

REPLY: Final = (
    "Your order left our warehouse this morning and should reach you tomorrow before noon."
)
_USAGE: Final = {"prompt_tokens": 64, "completion_tokens": 17, "total_tokens": 81}
_IDENTITY: Final = {"id": "chatcmpl-benchmark", "created": 1_750_000_000, "model": MODEL}
_STREAM_ASKED: Final = re.compile(rb'"stream"\s*:\s*true')
_DEAD_ASKED: Final = re.compile(rb'"model"\s*:\s*"%b"' % DEAD.encode())
_USAGE_ASKED: Final = re.compile(rb'"include_usage"\s*:\s*true')


def _response(status: bytes, content_type: bytes, body: bytes) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n" % (
        status,
        content_type,
        len(body),
    )
    return head + body


def _json(status: bytes, content: object) -> bytes:
    return _response(status, b"application/json", orjson.dumps(content))


def _completion() -> bytes:
    message = {"role": "assistant", "content": REPLY, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return _json(
        b"200 OK", {**_IDENTITY, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    )


def _chunk(**content: object) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(
        {**_IDENTITY, "object": "chat.completion.chunk", **content}
    )


def _delta(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    return _chunk(choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}])


def _stream(*, usage: bool) -> bytes:
    """Give the reply word by word, as OpenAI streams it, but in one piece of known length."""
    first, *others = re.findall(r"\S+\s*", REPLY)
    chunks = [
        _delta({"role": "assistant", "content": first}),
        *(_delta({"content": word}) for word in others),
    ]
    chunks.append(_delta({}, "stop"))
    if usage:
        chunks.append(_chunk(choices=[], usage=_USAGE))
    return _response(b"200 OK", b"text/event-stream", b"".join([*chunks, b"data: [DONE]\n\n"]))


_COMPLETION: Final = _completion()
_STREAM: Final = _stream(usage=False)
_STREAM_WITH_USAGE: Final = _stream(usage=True)
_MODELS: Final = _json(
    b"200 OK", {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "nobody"}]}
)
_UNAVAILABLE: Final = _json(
    b"503 Service Unavailable", {"error": {"message": "it is dead", "type": "server_error"}}
)
_NOT_FOUND: Final = _json(
    b"404 Not Found", {"error": {"message": "no such route", "type": "invalid_request_error"}}
)


def _answer(url: bytes, body: bytes) -> bytes:
    if url.endswith(b"/models"):
        return _MODELS
    if not url.endswith(b"/chat/completions"):
        return _NOT_FOUND
    if _DEAD_ASKED.search(body):
        return _UNAVAILABLE
    if not _STREAM_ASKED.search(body):
        return _COMPLETION
    return _STREAM_WITH_USAGE if _USAGE_ASKED.search(body) else _STREAM


class ModelConnection(asyncio.Protocol):
    """One client's keep-alive connection."""

    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of its subclasses

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the `on_…` methods below."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """Take a piece of the request's body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer, now or later."""
        answer = _answer(self._url, self._body)
        if self._latency:
            self._loop.call_later(self._latency, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve(port: int, latency: float) -> None:
    """Listen on 127.0.0.1 until the process is ended."""
    server = await asyncio.get_running_loop().create_server(
        partial(ModelConnection, latency), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.latency_ms / 1000))


if __name__ == "__main__":
    main()
