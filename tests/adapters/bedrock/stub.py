"""Bedrock on the loopback: speaks the wire format of the runtime, or breaks in every way.

Tests use it, and whoever wants to try Prosa's AWS path without an account: point
AWS_ENDPOINT_URL_BEDROCK_RUNTIME at it and give any credentials. It answers well unless it is told
otherwise, and checks what Bedrock checks: roles that take turns, words that are not blank, tools
that are named.
"""

import asyncio
import json
import re
from binascii import crc32
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from struct import pack
from typing import Any
from urllib.parse import unquote

WORDS = ("Olá", ", Ana", "! ", "Seu pedido ", "já ", "está a caminho ", "🚚.")
TEXT = "".join(WORDS)
USAGE = {
    "inputTokens": 15,
    "outputTokens": 9,
    "totalTokens": 30,
    "cacheReadInputTokens": 4,
    "cacheWriteInputTokens": 2,
}
CARD = "4111 1111 1111 1111"
MASK = "{CREDIT_DEBIT_CARD_NUMBER}"

HANG = float("inf")
CLOSE = None

Step = bytes | float | None
"""What to do next: send bytes, pause for seconds, or close the connection."""

Json = dict[str, Any]

METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    operation: str
    """`converse`, `converse-stream` or `apply`."""
    model_id: str
    """Of the model, or of the guardrail."""
    headers: dict[str, str]
    body: Json


Answerer = Callable[[Received], AsyncIterator[Step]]


async def answered_well(received: Received) -> AsyncIterator[Step]:
    """Answer as a model that is well does; what Bedrock would refuse is refused."""
    if received.operation == "apply":
        yield json_answer(judged(received.body))
    elif fault := what_is_wrong(received.body):
        yield error(400, "ValidationException", fault)
    else:
        yield answer_with(received, words_for(received.body))


class BedrockStub:
    """Gives the answers in `answers`, one a request, then what `otherwise` says: good ones."""

    def __init__(self, otherwise: Answerer = answered_well) -> None:
        self.answers: deque[Iterable[Step]] = deque()
        self.otherwise = otherwise
        self.requests: list[Received] = []
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.connections = 0
        self.url = ""

    def will(self, *steps: Step) -> None:
        self.answers.append(steps)

    def forget(self) -> None:
        """Forget what was asked, and what was still to be answered."""
        self.answers.clear()
        self.requests.clear()
        self.asked.clear()
        self.left.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except asyncio.IncompleteReadError:
            pass  # it was closed between two requests
        except ConnectionError:
            self.left.set()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        received = await _received(reader)
        self.requests.append(received)
        self.asked.set()
        scripted = self.answers.popleft() if self.answers else None
        steps = self.otherwise(received) if scripted is None else _each(scripted)
        async for step in steps:
            if step is CLOSE:
                return False
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif step == HANG:
                await reader.read()
                self.left.set()
                return False
            else:
                await asyncio.sleep(step)
        return True


@asynccontextmanager
async def running_stub(
    otherwise: Answerer = answered_well, port: int = 0
) -> AsyncIterator[BedrockStub]:
    stub = BedrockStub(otherwise)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.add(task)
        with suppress(asyncio.CancelledError):
            await stub.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    host, port = server.sockets[0].getsockname()
    stub.url = f"http://{host}:{port}"
    try:
        yield stub
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def environment(url: str) -> dict[str, str]:
    """Give the variables by which boto3 finds the stub, and nothing of this machine's own."""
    return {
        "AWS_ACCESS_KEY_ID": "loopback",
        "AWS_SECRET_ACCESS_KEY": "loopback",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


async def _each(steps: Iterable[Step]) -> AsyncIterator[Step]:
    for step in steps:
        yield step


async def _received(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value
        for name, _, value in (line.partition(": ") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers["content-length"]))
    # /model/{id}/converse, or /guardrail/{id}/version/{version}/apply.
    _, _, name, *_, operation = map(unquote, head[0].split()[1].split("/"))
    return Received(operation, name, headers, json.loads(body))


def what_is_wrong(body: Json) -> str | None:
    """Say what Bedrock would refuse about a conversation."""
    roles = [message["role"] for message in body["messages"]]
    blocks = [block for message in body["messages"] for block in message["content"]]
    uses_tools = any("toolUse" in block or "toolResult" in block for block in blocks)
    metadata = body["requestMetadata"].values()
    checks = (
        (roles[:1] != ["user"], "A conversation must start with a user message."),
        (any(one == next_ for one, next_ in pairwise(roles)), "Roles must alternate."),
        (not all(block.get("text", "-").strip() for block in blocks), "The text field is blank."),
        (uses_tools and "toolConfig" not in body, "The toolConfig field must be defined."),
        (_unpaired(blocks), "Expected toolResult blocks for the toolUse blocks."),
        (not all(METADATA.fullmatch(value) for value in metadata), "Invalid requestMetadata."),
    )
    return next((what for applies, what in checks if applies), None)


def _unpaired(blocks: Iterable[Json]) -> bool:
    used = {block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block}
    return used != {block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block}


def words_for(body: Json) -> tuple[str, ...]:
    """Choose what to say: JSON where a schema was sent or put into words."""
    asked = "JSON Schema" in json.dumps(body) or "outputConfig" in body
    return ('{"answer": ', '"yes"}') if asked else WORDS


def answer_with(received: Received, words: Iterable[str], stop_reason: str = "end_turn") -> bytes:
    """Say the words, whole or as a stream, or call the tool that has to be called."""
    if received.operation == "converse-stream":
        return event_stream(said(words, stop_reason))
    choice = received.body.get("toolConfig", {}).get("toolChoice")
    if choice:
        block = tool_use(choice["tool"]["name"], {"answer": "yes"})
        return json_answer(converse_answer(block, stop_reason="tool_use"))
    return json_answer(converse_answer({"text": "".join(words)}, stop_reason=stop_reason))


def judged(body: Json) -> Json:
    """Judge a passage as a guardrail does that masks a card and blocks an attack."""
    text = body["content"][0]["text"]["text"]
    if "system" in text:
        attack = {"type": "PROMPT_ATTACK", "confidence": "HIGH", "action": "BLOCKED"}
        return verdict({"contentPolicy": {"filters": [attack]}}, "Sorry, I cannot answer that.")
    if CARD in text:
        card = {"match": CARD, "type": "CREDIT_DEBIT_CARD_NUMBER", "action": "ANONYMIZED"}
        found = {"sensitiveInformationPolicy": {"piiEntities": [card], "regexes": []}}
        return verdict(found, text.replace(CARD, MASK))
    return {"action": "NONE", "outputs": [], "assessments": [], "usage": {}}


def verdict(assessment: Json, text: str) -> Json:
    return {
        "action": "GUARDRAIL_INTERVENED",
        "outputs": [{"text": text}],
        "assessments": [assessment],
        "usage": {},
    }


def response(status: int, body: bytes, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


def json_answer(body: object, status: int = 200, **headers: str) -> bytes:
    headers = {"Content_Type": "application/json", "x_amzn_RequestId": "r-1"} | headers
    return response(status, json.dumps(body).encode(), **headers)


def error(status: int, code: str, message: str = "no", **fields: object) -> bytes:
    headers = {"x_amzn_errortype": f"{code}:http://internal.amazon.com/coral/"}
    return json_answer({"message": message, **fields}, status, **headers)


def converse_answer(*content: object, stop_reason: object = "end_turn", **fields: object) -> Json:
    message = {"role": "assistant", "content": list(content)}
    return {
        "output": {"message": message},
        "stopReason": stop_reason,
        "usage": USAGE,
        "metrics": {"latencyMs": 12},
        **fields,
    }


def tool_use(name: str, arguments: object, call_id: str = "tooluse_1") -> Json:
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": arguments}}


def text_delta(text: object, index: int = 0) -> bytes:
    return delta({"text": text}, index)


def delta(content: object, index: int = 0) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": content})


def said(words: Iterable[str], stop_reason: str = "end_turn") -> list[bytes]:
    """Write the events of a whole answer."""
    return [
        event("messageStart", {"role": "assistant"}),
        *map(text_delta, words),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        *ended(stop_reason),
    ]


def ended(stop_reason: str = "end_turn") -> list[bytes]:
    metadata = {"usage": USAGE, "metrics": {"latencyMs": 12}}
    return [event("messageStop", {"stopReason": stop_reason}), event("metadata", metadata)]


def event(kind: str, payload: object) -> bytes:
    headers = {":message-type": "event", ":event-type": kind, ":content-type": "application/json"}
    return frame(headers, json.dumps(payload, ensure_ascii=False).encode())


def stream_exception(kind: str, message: str = "no", **fields: object) -> bytes:
    """Write an exception in the middle of a stream: `throttlingException` …"""
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


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
    b"x-amzn-RequestId: r-1\r\nTransfer-Encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"


def chunked(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def event_stream(events: Iterable[bytes]) -> bytes:
    return b"".join((STREAM_HEAD, *map(chunked, events), STREAM_END))
