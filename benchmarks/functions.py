"""The functions that `cold_start` starts, and what each of them is woken with."""

import asyncio
import http
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, TypeVar

import orjson

from benchmarks.mock_model import REPLY
from benchmarks.servers import PROSA, USUAL, Place, Server
from embedded_aws.moto_server import own_client, sdk_variables
from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import App, bootstrap
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.settings import Settings
from tests.channels import pushed
from tests.entrypoints.aws_lambda.events import bus_event, queue_event
from tests.entrypoints.aws_lambda.gateway import JSON, Request, http_api_event

T = TypeVar("T")

_LAMBDA: Final = "prosa.entrypoints.aws_lambda"
_TASKS: Final = "prosa.entrypoints.step_functions.take_turn"
_MESSAGE: Final = http_api_event(
    Request(method="POST", path="/v1/messages", headers=JSON, body='{"text": "Where is my order?"}')
)
_SCHEDULED: Final = {"source": "aws.events", "detail-type": "Scheduled Event"}
_BEDROCK: Final = {"PROSA_MODELS": "bedrock:amazon.nova-lite-v1:0"}
_CONVERSED: Final = orjson.dumps(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": REPLY}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 64, "outputTokens": 17, "totalTokens": 81},
        "metrics": {"latencyMs": 1},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What is started, and what makes the event that wakes it."""

    name: str
    module: str
    event: Callable[[], object]
    handler: str = "handler"
    server: Server = PROSA
    also: Mapping[str, str] = field(default_factory=dict)
    at_most: float | None = None
    """How many times the floor's time it may take."""


class Door:
    """Accepts turns in the functions' database, for tasks to go on with."""

    def __init__(self, app: App, runner: asyncio.Runner) -> None:
        self._app = app
        self._runner = runner

    def accepted(self) -> dict[str, object]:
        """Accept a turn, and give the state of its execution."""
        accept = self._app.take_turn.accept
        turn = self._runner.run(_awaited(accept(CustomerMessage(text="Where is my order?")))).turn
        return {"tenant_id": DEFAULT_TENANT, "turn_id": turn.id, "attempt": turn.attempt}


async def _awaited(result: Awaitable[T]) -> T:
    return await result


@contextmanager
def open_door(place: Place) -> Iterator[Door]:
    """Open an application on the functions' database, in a loop of its own."""
    url = PROSA.settings(place)["PROSA_DATABASE_URL"]
    opening = bootstrap(Settings.model_validate({"models": "scripted", "database_url": url}))
    with asyncio.Runner() as runner:
        app = runner.run(_awaited(opening.__aenter__()))
        try:
            yield Door(app, runner)
        finally:
            runner.run(_awaited(opening.__aexit__(None, None, None)))


class _Converse(BaseHTTPRequestHandler):
    """Answers as Bedrock's Converse does, the same each time."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet: a second one would wait 40 ms

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(http.HTTPStatus.OK)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(_CONVERSED)))
        self.end_headers()
        self.wfile.write(_CONVERSED)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running_bedrock() -> Iterator[str]:
    """Run a Bedrock within the block and give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Converse) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def account_of(aws: str, bedrock: str) -> dict[str, str]:
    """Give the variables by which functions find the account."""
    return {**sdk_variables(aws), "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock}


def reply_queue() -> str:
    """Make a queue for replies in the account that the process's own variables name."""
    with own_client("sqs") as sqs:
        made = sqs.create_queue(QueueName="replies.fifo", Attributes={"FifoQueue": "true"})
        url: str = made["QueueUrl"]
        return url


def measured(account: Mapping[str, str], replies: str, door: Door) -> tuple[Function, ...]:
    """List what is measured; the floor comes first."""
    bedrock = {**account, **_BEDROCK}
    numbers = itertools.count()

    def message() -> str:
        return pushed(key=f"benchmark-{next(numbers)}")

    http_function = partial(Function, module=f"{_LAMBDA}.http", event=lambda: _MESSAGE, at_most=2.0)
    queue = partial(
        Function,
        module=f"{_LAMBDA}.consume_messages",
        event=lambda: queue_event(message()),
        at_most=1.2,
    )
    relay = partial(
        Function, module=f"{_LAMBDA}.relay_outbox", event=lambda: _SCHEDULED, at_most=1.2
    )
    task = partial(Function, module=_TASKS, event=door.accepted)
    return (
        Function(
            name="floor: a turn by FastAPI, asyncpg, httpx",
            module="benchmarks.floors.function",
            event=lambda: _MESSAGE,
            server=USUAL,
        ),
        http_function(name="http: a turn by Bedrock", also=bedrock),
        http_function(name="http: a turn by OpenAI"),
        relay(name="relay, to the log"),
        relay(name="relay, to EventBridge", also={**account, "PROSA_EVENT_BUS": "eventbridge"}),
        queue(name="queue: a turn by Bedrock", also=bedrock),
        queue(name="queue: a turn by OpenAI"),
        queue(
            name="queue: a turn by Bedrock, its reply to a queue",
            also={**bedrock, "PROSA_REPLY_QUEUE": replies},
            at_most=None,
        ),
        Function(
            name="bus: a turn by Bedrock",
            module=f"{_LAMBDA}.consume_events",
            event=lambda: bus_event(message()),
            also=bedrock,
        ),
        task(name="generate, by Bedrock", handler="generate", also=bedrock, at_most=1.8),
        task(name="generate, by OpenAI", handler="generate", at_most=1.8),
        task(name="classify", handler="classify"),
        task(name="fail", handler="fail", event=lambda: {**door.accepted(), "error": "Exception"}),
        Function(
            name="recover, with Bedrock",
            module=f"{_LAMBDA}.recover_turns",
            event=lambda: _SCHEDULED,
            also=bedrock,
        ),
    )
