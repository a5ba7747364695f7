"""AWS on the loopback: moto's server where it can do a thing, and a stub where it cannot fail."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests.adapters.openai.provider import (
    Provider,
    Received,
    json_response,
    running_provider,
)

REGION = "eu-west-1"
TARGET = "x-amz-target"
"""The header in which AWS's JSON protocols name the operation."""


@contextmanager
def running_moto() -> Iterator[str]:
    """Run moto's server, and give its address."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow, and few tests need it

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def point_at(address: str, environment: pytest.MonkeyPatch) -> None:
    """Have every AWS SDK of this process call an address, as nobody in particular."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": address,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        environment.setenv(name, value)


@contextmanager
def own_client(service: str) -> Iterator[Any]:
    """Lend a client of the test's own, to prepare and to look."""
    from boto3.session import Session  # noqa: PLC0415 - slow, and few tests need it

    # Typed as anything: the stubs know services by literal names only.
    session: Any = Session()
    client = session.client(service)
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def running_stub(environment: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    """Run a server that answers as it is told to, and have this process's SDKs call it."""
    async with running_provider() as stub:
        point_at(stub.url.removesuffix("/v1"), environment)
        yield stub


def operation(received: Received) -> str:
    """Name the operation that was called."""
    return received.headers[TARGET].rpartition(".")[2]


def aws_error(status: int, code: str, message: str = "no") -> bytes:
    """Write an error as AWS's JSON protocols do."""
    return json_response(status, {"__type": code, "message": message})
