"""An account of AWS by moto's server, in threads of this process, and clients of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from embedded_aws.loopback_server import HOST

REGION = "eu-west-1"
ACCOUNT_ID = "123456789012"
"""What moto calls the only account that it has."""


@contextmanager
def running_moto(port: int = 0) -> Iterator[str]:
    """Run moto's server on a port that is free, by default any, and give its address."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow, and few tests need it

    server = ThreadedMotoServer(HOST, port, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def sdk_variables(address: str) -> dict[str, str]:
    """Give the variables by which every AWS SDK calls an address, as nobody in particular."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": address,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


@contextmanager
def own_client(service: str) -> Iterator[Any]:
    """Lend a client of one's own, to prepare and to look."""
    from boto3.session import Session  # noqa: PLC0415 - slow, and few tests need it

    # Typed as anything: the stubs know services by literal names only.
    session: Any = Session()
    client = session.client(service)
    try:
        yield client
    finally:
        client.close()


def arn_of(service: str, name: str) -> str:
    """Name a thing of the account in full."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{name}"
