"""The newest versions are called before anybody else calls them."""

import io
import json
from typing import Any

import pytest

from infrastructure.delivery import functions
from infrastructure.delivery.functions import CallFailed, look_at, migrate
from tests.delivery.account import Account
from tests.entrypoints.aws_lambda.gateway import get, rest_api_event

NAME = "prosa-test-http"


@pytest.fixture
def account() -> Account:
    return Account(functions={})


def answering(account: Account, told: object, **more: object) -> Any:  # noqa: ANN401 - boto3's
    payload = io.BytesIO(json.dumps(told).encode())
    account.answers["Invoke"] = {"StatusCode": 200, "Payload": payload, **more}
    return account.clients()[1]


def streaming(account: Account, *chunks: bytes, **ended: str) -> Any:  # noqa: ANN401 - boto3's
    account.answers["InvokeWithResponseStream"] = [
        *({"PayloadChunk": {"Payload": chunk}} for chunk in chunks),
        {"InvokeComplete": ended},
    ]
    return account.clients()[1]


def test_migrations_are_run_by_the_version_that_is_told(account: Account) -> None:
    client = answering(account, {"before": "0001", "after": "0002"})
    assert migrate(client, "prosa-test-migrate", "10") == {"before": "0001", "after": "0002"}
    ((_, asked),) = account.called
    assert (asked["FunctionName"], asked["Qualifier"]) == ("prosa-test-migrate", "10")


def test_migrations_that_fail_are_told_of(account: Account) -> None:
    told = {"errorType": "StorageError", "errorMessage": "the database is away"}
    client = answering(account, told, FunctionError="Unhandled")
    with pytest.raises(CallFailed, match="prosa-test-migrate, version 10: the database is away"):
        migrate(client, "prosa-test-migrate", "10")


def test_a_version_that_is_ready_passes_however_its_answer_is_cut(account: Account) -> None:
    prelude, body = b'{"statusCode": 200, "headers": {}}', b'{"status": "ready"}'
    look_at(streaming(account, prelude[:9], prelude[9:] + b"\0" * 3, b"\0" * 5 + body), NAME, "10")
    ((_, asked),) = account.called
    assert (asked["FunctionName"], asked["Qualifier"]) == (NAME, "10")


def test_a_version_that_is_not_ready_is_told_of_with_what_it_says(account: Account) -> None:
    client = streaming(account, b'{"statusCode": 503}' + b"\0" * 8 + b"no database")
    with pytest.raises(CallFailed, match="answers /readyz with 503: b'no database'"):
        look_at(client, NAME, "10")


def test_a_version_that_does_not_start_is_told_of(account: Account) -> None:
    client = streaming(account, ErrorCode="Runtime.ExitError", ErrorDetails="exit status 1")
    with pytest.raises(CallFailed, match=r"version 10: Runtime\.ExitError"):
        look_at(client, NAME, "10")


def test_an_answer_without_a_status_is_told_of(account: Account) -> None:
    with pytest.raises(CallFailed, match="with None"):
        look_at(streaming(account, b"hello"), NAME, "10")


def test_it_is_asked_as_a_rest_api_asks() -> None:
    wanted = rest_api_event(get(functions.READY))
    asked = functions._request(functions.READY)
    assert set(asked) == set(wanted)
    assert {name: asked[name] for name in ("path", "httpMethod", "resource", "body")} == {
        name: wanted[name] for name in ("path", "httpMethod", "resource", "body")
    }
