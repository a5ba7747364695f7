"""The HTTP API as a function, under the real runtime: cold, warm, and as the server answers."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from prosa.adapters.jwt.development_keys import DevelopmentKeys
from prosa.settings import ModelName, Settings
from tests.entrypoints.aws_lambda.gateway import (
    JSON,
    Answer,
    AsEvent,
    Request,
    answer_from,
    get,
    http_api_event,
    post,
    rest_api_event,
)
from tests.entrypoints.http.serving import events_in
from tests.faults.serving import serving
from tests.lambda_runtime import FunctionError, LambdaFunction, lambda_function

HTTP = "prosa.entrypoints.aws_lambda.http"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ISSUER = "https://issuer.test"
OF_THE_REQUEST = {"x-request-id": "asked-twice", "traceparent": TRACE}
OF_A_CONNECTION = {"connection", "content-length", "date", "server", "transfer-encoding"}
OF_ONE_ANSWER = {"idempotent-replayed", "traceparent"}
"""What says whether it is a replay, and an identifier that each answer has of its own."""


class Gateway:
    """The function behind API Gateway."""

    def __init__(self, function: LambdaFunction, as_event: AsEvent) -> None:
        self._function = function
        self._as_event = as_event

    def ask(self, request: Request) -> Answer:
        """Have the function answer a request."""
        returned = self._function.invoke(self._as_event(request))
        # A REST API would pass it on as it is.
        assert not returned["isBase64Encoded"]
        return answer_from(returned)


class Doors:
    """The function and the server, on one database."""

    def __init__(self, gateway: Gateway, server: httpx.AsyncClient) -> None:
        self._gateway = gateway
        self._server = server

    async def same(self, request: Request) -> Answer:
        """Ask the function, then the server; give the answer, which has to be the same."""
        request = replace(request, headers={**OF_THE_REQUEST, **request.headers})
        answer = await asyncio.to_thread(self._gateway.ask, request)
        response = await self._server.request(
            request.method,
            f"{request.path}?{request.query}" if request.query else request.path,
            headers=[(name.encode(), text.encode()) for name, text in request.headers.items()],
            content=request.body,
        )
        assert (answer.status, answer.body) == (response.status_code, response.content)
        assert comparable(answer.headers) == comparable(response.headers)
        return answer


def comparable(headers: Mapping[str, str]) -> dict[str, str]:
    """Leave out what is of a connection, or of one answer alone."""
    left_out = OF_A_CONNECTION | OF_ONE_ANSWER
    return {name: value for name, value in headers.items() if name not in left_out}


@pytest.fixture(params=[http_api_event, rest_api_event], ids=["HTTP API", "REST API"])
def as_event(request: pytest.FixtureRequest) -> AsEvent:
    event: AsEvent = request.param
    return event


@pytest.fixture
def gateway(http_function: LambdaFunction, as_event: AsEvent) -> Gateway:
    return Gateway(http_function, as_event)


@pytest.fixture
async def doors(gateway: Gateway, database_url: str) -> AsyncIterator[Doors]:
    settings = Settings(database_url=database_url, models=(ModelName(adapter="scripted"),))
    async with serving(settings) as server:
        yield Doors(gateway, server)


def new_key() -> str:
    return uuid4().hex


async def test_a_journey_has_the_answers_that_the_server_gives(
    doors: Doors, gateway: Gateway
) -> None:
    started = await doors.same(
        post("/v1/conversations", new_key(), customer_id="José", metadata={"b": "ã"})
    )
    assert started.status == 201
    place = f"/v1/conversations/{started.view['id']}"
    message = post(f"{place}/messages", new_key(), text="Olá! Onde está o meu pedido? 📦")
    answered = await doors.same(message)
    assert answered.view["status"] == "completed"
    replayed = await asyncio.to_thread(gateway.ask, message)
    assert (replayed.body, replayed.headers["idempotent-replayed"]) == (answered.body, "true")
    streamed = await doors.same(
        replace(message, headers={**message.headers, "accept": "text/event-stream"})
    )
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert (await doors.same(get(place))).view["message_count"] == 2
    listed = await doors.same(get(f"{place}/messages", "limit=1&order=desc"))
    assert [found["role"] for found in listed.view["data"]] == ["assistant"]
    assert (await doors.same(get(f"/v1/turns/{answered.view['id']}"))).body == answered.body
    assert (await doors.same(Request(method="POST", path=f"{place}/close"))).status == 200
    late = post(f"{place}/messages", new_key(), text="Oi")
    assert (await doors.same(late)).status == 409


async def test_wrong_input_has_the_answers_that_the_server_gives(doors: Doors) -> None:
    for status, wrong in (
        (422, post("/v1/messages", "wrong")),
        (422, post("/v1/messages", "wrong", text="")),
        (400, post("/v1/messages", "ç", text="Oi")),
        (400, Request(method="POST", path="/v1/messages", headers=JSON, body='{"text": ')),
        (415, Request(method="POST", path="/v1/messages", body="Oi")),
        (400, Request(method="POST", path="/v1/messages", headers=JSON)),
        (422, get("/v1/conversations", "limit=0&status=a%20b%26c")),
        (404, get("/v1/conversations/conv_none")),
        (404, get("/v1/turns/turn_1/events")),
        (404, get("/nowhere/%C3%A3")),
        (405, Request(method="DELETE", path="/v1/messages")),
    ):
        answer = await doors.same(wrong)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_stream_that_is_asked_for_comes_whole(gateway: Gateway) -> None:
    message = post("/v1/messages", new_key(), text="Oi")
    asked = replace(message, headers={**message.headers, "accept": "text/event-stream"})
    streamed = gateway.ask(asked)
    events = events_in(streamed.body.decode())
    assert events[0].name == "turn.started"
    assert events[-1].name == "turn.completed"


def test_nothing_is_promised_for_after_the_answer(gateway: Gateway) -> None:
    message = post("/v1/messages", new_key(), text="Oi")
    asked = replace(message, headers={**message.headers, "prefer": "respond-async"})
    answer = gateway.ask(asked)
    assert answer.status == 200
    assert answer.view["status"] == "completed"
    assert "preference-applied" not in answer.headers


def test_all_that_it_answers_it_answers_in_one_process(
    gateway: Gateway, http_function: LambdaFunction
) -> None:
    gateway.ask(get("/healthz"))
    process_id, starts = http_function.process_id, http_function.starts
    for _ in range(3):
        message = post("/v1/messages", new_key(), text="Oi")
        assert gateway.ask(message).status == 200
    assert (http_function.process_id, http_function.starts) == (process_id, starts)


def test_events_are_on_the_bus_when_the_answer_is_there(
    gateway: Gateway, http_function: LambdaFunction
) -> None:
    message = post("/v1/messages", new_key(), text="Oi")
    turn_id = gateway.ask(message).view["id"]
    told = [line for line in http_function.log.splitlines() if turn_id in line]
    assert ["turn.completed" in line for line in told] == [False, True]


def test_an_event_that_is_no_request_is_an_error_and_the_next_one_is_answered(
    gateway: Gateway, http_function: LambdaFunction
) -> None:
    with pytest.raises(FunctionError):
        http_function.invoke({"source": "aws.events"})
    assert gateway.ask(get("/readyz")).status == 200


def test_what_is_wrong_with_the_settings_is_told_while_it_initialises(tmp_path: Path) -> None:
    with (
        lambda_function(HTTP, {"PROSA_MODELS": "nothing"}, tmp_path) as function,
        pytest.raises(FunctionError, match="PROSA_MODELS names 'nothing'") as told,
    ):
        function.invoke(http_api_event(get("/healthz")))
    assert told.value.type == "ConfigurationError"
    assert told.value.while_initialising


def test_on_lambda_itself_nobody_is_let_in_without_a_token(tmp_path: Path) -> None:
    variables = {"PROSA_MODELS": "scripted", "AWS_LAMBDA_FUNCTION_NAME": "prosa-http"}
    with (
        lambda_function(HTTP, variables, tmp_path) as function,
        pytest.raises(FunctionError, match="set PROSA_AUTH=jwt") as told,
    ):
        function.invoke(http_api_event(get("/healthz")))
    assert told.value.type == "ConfigurationError"
    assert told.value.while_initialising


def test_on_lambda_itself_who_has_a_token_is_let_in(tmp_path: Path) -> None:
    keys = DevelopmentKeys(tmp_path)
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": ISSUER,
        "client_id": "web",
        "token_use": "access",
        "sub": "ana",
    }
    claims |= {"tenant_id": "acme", "role": "customer", "iat": now, "exp": now + 60}
    variables = {
        "PROSA_MODELS": "scripted",
        "PROSA_AUTH": "jwt",
        "PROSA_JWT_ISSUER": ISSUER,
        "PROSA_JWT_CLIENT_IDS": "web",
        "PROSA_JWKS_URL": f"file:{keys.key_set_file}",
        "AWS_LAMBDA_FUNCTION_NAME": "prosa-http",
    }
    message = post("/v1/messages", new_key(), text="Oi")
    known = {**message.headers, "authorization": f"Bearer {keys.sign(claims)}"}
    with lambda_function(HTTP, variables, tmp_path) as function:
        gateway = Gateway(function, http_api_event)
        assert gateway.ask(message).status == 401
        assert gateway.ask(replace(message, headers=known)).status == 200


def test_told_to_end_it_closes_what_is_open(tmp_path: Path) -> None:
    with lambda_function(HTTP, {"PROSA_MODELS": "scripted"}, tmp_path) as function:
        function.invoke(http_api_event(post("/v1/messages", "key", text="Oi")))
        # SQLite keeps it until the last connection is closed.
        log_of_writes = tmp_path / "prosa.db-wal"
        assert log_of_writes.exists()
        function.send(signal.SIGTERM)
        assert function.end() == -signal.SIGTERM
        assert not log_of_writes.exists()
