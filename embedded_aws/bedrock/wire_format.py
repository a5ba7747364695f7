"""What Bedrock's runtime sends: Converse is JSON, ConverseStream is frames of an event stream.

Shapes: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.
"""

import json
from binascii import crc32
from collections.abc import Iterable, Mapping
from struct import pack
from urllib.parse import unquote

from embedded_aws.loopback_server import LAST_CHUNK, Json, Received, chunked, json_response

_REQUEST_ID = {"x_amzn_RequestId": "r-1"}

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
    b"x-amzn-RequestId: r-1\r\nTransfer-Encoding: chunked\r\n\r\n"
)


USAGE = {
    "inputTokens": 15,
    "outputTokens": 9,
    "totalTokens": 30,
    "cacheReadInputTokens": 4,
    "cacheWriteInputTokens": 2,
}
"""What an answer used where no model counts: `inputTokens` is without what the cache has."""


def operation(received: Received) -> str:
    """Name what is asked for: `converse`, `converse-stream` or `apply`."""
    return received.path.rpartition("/")[2]


def asked_for(received: Received) -> str:
    """Name the model, or the guardrail, that is asked.

    Paths are `/model/ID/converse` and `/guardrail/ID/version/VERSION/apply`.
    """
    return unquote(received.path.split("/")[2])


def json_answer(body: object, status: int = 200, **headers: str) -> bytes:
    """Write an answer."""
    return json_response(status, body, **(_REQUEST_ID | headers))


def error(status: int, code: str, message: str = "no", **fields: object) -> bytes:
    """Write an error as Bedrock does: its name is in a header."""
    headers = {"x_amzn_errortype": f"{code}:http://internal.amazon.com/coral/"}
    return json_answer({"message": message, **fields}, status, **headers)


def converse_answer(
    *content: object, stop_reason: object = "end_turn", usage: object = USAGE
) -> Json:
    """Make the body of a whole answer."""
    message = {"role": "assistant", "content": list(content)}
    return {
        "output": {"message": message},
        "stopReason": stop_reason,
        "usage": usage,
        "metrics": {"latencyMs": 12},
    }


def tool_use(name: str, arguments: object, call_id: str = "tooluse_1") -> Json:
    """Make the part of an answer that calls a tool."""
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": arguments}}


def text_delta(text: object, index: int = 0) -> bytes:
    """Write the event that adds words."""
    return delta({"text": text}, index)


def delta(content: object, index: int = 0) -> bytes:
    """Write the event that adds to a part of the answer."""
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": content})


def begun() -> bytes:
    """Write the first event of an answer."""
    return event("messageStart", {"role": "assistant"})


def ended(stop_reason: str = "end_turn", usage: object = USAGE) -> list[bytes]:
    """Write the last events of an answer."""
    return [
        event("contentBlockStop", {"contentBlockIndex": 0}),
        event("messageStop", {"stopReason": stop_reason}),
        event("metadata", {"usage": usage, "metrics": {"latencyMs": 12}}),
    ]


def said(words: Iterable[str], stop_reason: str = "end_turn") -> list[bytes]:
    """Write the events of a whole answer."""
    return [begun(), *map(text_delta, words), *ended(stop_reason)]


def event_stream(events: Iterable[bytes]) -> bytes:
    """Write a whole answer that is a stream of these events."""
    return b"".join((STREAM_HEAD, *map(chunked, events), LAST_CHUNK))


def event(kind: str, payload: object) -> bytes:
    """Write an event of a stream."""
    headers = {":message-type": "event", ":event-type": kind, ":content-type": "application/json"}
    return frame(headers, json.dumps(payload, ensure_ascii=False).encode())


def stream_exception(kind: str, message: str = "no", **fields: object) -> bytes:
    """Write an exception in the middle of a stream: by its name, `throttlingException`."""
    headers = {":message-type": "exception", ":exception-type": kind}
    headers[":content-type"] = "application/json"
    return frame(headers, json.dumps({"message": message, **fields}).encode())


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Write a message of `application/vnd.amazon.eventstream`.

    Total and headers' lengths, their CRC, headers (name, type 7 for a string, value), payload, CRC
    of all before it: https://smithy.io/2.0/aws/amazon-eventstream.html.
    """
    written = b"".join(
        pack("!B", len(name)) + name.encode() + pack("!BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = pack("!II", len(written) + len(payload) + 16, len(written))
    message = prelude + pack("!I", crc32(prelude)) + written + payload
    return message + pack("!I", crc32(message))
