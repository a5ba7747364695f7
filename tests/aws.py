"""AWS on the loopback: moto's server where it can do a thing, and a stub where it cannot fail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from embedded_aws.loopback_server import LoopbackServer, Received, json_response, served
from embedded_aws.moto_server import sdk_variables

TARGET = "x-amz-target"
"""The header in which AWS's JSON protocols name the operation."""


def point_at(address: str, environment: pytest.MonkeyPatch) -> None:
    """Have every AWS SDK of this process call an address, as nobody in particular."""
    for name, value in sdk_variables(address).items():
        environment.setenv(name, value)


@asynccontextmanager
async def running_stub(environment: pytest.MonkeyPatch) -> AsyncIterator[LoopbackServer]:
    """Run a server that answers as it is told to, and have this process's SDKs call it."""
    stub = LoopbackServer(lambda _: [json_response(200, {})])
    async with served(stub):
        point_at(stub.url, environment)
        yield stub


def operation(received: Received) -> str:
    """Name the operation that was called."""
    return received.headers[TARGET].rpartition(".")[2]


def aws_error(status: int, code: str, message: str = "no") -> bytes:
    """Write an error as AWS's JSON protocols do."""
    return json_response(status, {"__type": code, "message": message})
