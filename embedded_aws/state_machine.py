"""The state machine that takes turns: moto executes it, and its functions are called here."""

import json
import os
import traceback
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from embedded_aws.moto_server import ACCOUNT_ID, arn_of, own_client

FILE = Path(__file__).parents[1] / "infrastructure" / "workflows" / "take_turn.asl.json"
NAME = "take_turn"
ARN = arn_of("states", f"stateMachine:{NAME}")
ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/{NAME}"

Event = dict[str, Any]
Invoke = Callable[[str, Event], None]
"""Calls a function by its name, in a thread of moto's. Raises what the function does."""


class LambdaError(Exception):
    """An error by a name that no class of ours has: Lambda's own."""


def definition() -> dict[str, Any]:
    """Read the machine as it is deployed, its functions named as in the file's placeholders."""
    text = FILE.read_text(encoding="utf-8")
    for name in ("classify", "generate", "record", "publish", "fail"):
        text = text.replace(f"${{{name}_function}}", name)
    read: dict[str, Any] = json.loads(text)
    return read


@contextmanager
def executing(address: str, invoke: Invoke) -> Iterator[None]:
    """Have moto, which is at `address`, execute state machines with functions of this process."""
    from moto.awslambda_simple.models import LambdaSimpleBackend  # noqa: PLC0415 - slow to load

    config = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
    request = urllib.request.Request(  # noqa: S310 - moto's own address
        f"{address}/moto-api/config", json.dumps(config).encode(), method="POST"
    )
    urllib.request.urlopen(request).close()  # noqa: S310 - as above  # nosec B310

    def answer(
        _backend: LambdaSimpleBackend,
        name: str,
        _qualifier: str | None,
        body: str,
        _headers: object,
        response_headers: dict[str, str],
    ) -> bytes:
        try:
            invoke(name, json.loads(body))
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever it is
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps(reported(error)).encode()
        return b"null"

    # The place where moto asks for functions is known by its code only.
    with (
        mock.patch.dict(os.environ, MOTO_PORT=address.rpartition(":")[2]),
        mock.patch.object(LambdaSimpleBackend, "invoke", answer),
    ):
        yield


def reported(error: Exception) -> dict[str, Any]:
    """Write an error as Lambda's runtime for Python does."""
    lambdas_own = isinstance(error, LambdaError)
    return {
        "errorType": str(error) if lambdas_own else type(error).__name__,
        "errorMessage": str(error),
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def make_state_machine(workflow: Mapping[str, Any] | None = None) -> None:
    """Make the machine; moto executes only what was made while it executes state machines."""
    with own_client("stepfunctions") as client:
        client.create_state_machine(
            name=NAME, definition=json.dumps(workflow or definition()), roleArn=ROLE
        )
