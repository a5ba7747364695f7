"""What a developer tries beside the embedded AWS: ask for tokens, push messages, read events."""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import uuid4

import typer

from embedded_aws.account import EVENTS, PASSWORD, USERS
from embedded_aws.database import SECRET, rotate_password
from embedded_aws.installation import read_file
from embedded_aws.moto_server import own_client
from prosa.domain.errors import ConfigurationError
from prosa.domain.field_rules import require_text

SECONDS = 60
"""How long a reply may take to come out of its queue."""

QUEUE_WAIT = 2

Json = dict[str, Any]


def token(user: Annotated[str, typer.Argument(help="Who: " + ", ".join(USERS))] = "ana") -> None:
    """Ask the user pool for a token, and print it."""
    if user not in USERS:
        raise typer.BadParameter(f"the pool has no user {user}; it has {' and '.join(USERS)}")
    read_file()
    with own_client("cognito-idp") as cognito:
        answer = cognito.initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=_tenant(),
            AuthParameters={"USERNAME": user, "PASSWORD": PASSWORD},
        )
    typer.echo(answer["AuthenticationResult"]["AccessToken"])


def push(text: Annotated[str, typer.Argument(help="What the customer writes.")]) -> None:
    """Push a message as a channel does, and print the reply that comes out."""
    require_text(text)
    read_file()
    key = uuid4().hex
    message = {
        "specversion": "1.0",
        "type": "conversation.message.received.v1",
        "id": key,
        "source": "embedded_aws",
        "tenantid": _tenant(),
        "data": {"text": text, "customer_id": "ana", "metadata": {"key": key}},
    }
    with own_client("sqs") as sqs:
        sqs.send_message(
            QueueUrl=os.environ["PROSA_INBOUND_QUEUE"],
            MessageBody=json.dumps(message),
            MessageGroupId=key,
            MessageDeduplicationId=key,
        )
        typer.echo(json.dumps(_reply_to(sqs, key), indent=2, ensure_ascii=False))


def events() -> None:
    """Print the events that the bus delivered, one a line, and take them from their queue."""
    read_file()
    with own_client("sqs") as sqs:
        url = sqs.get_queue_url(QueueName=EVENTS)["QueueUrl"]
        delivered = list(_taken(sqs, url))
    for one in delivered:
        typer.echo(json.dumps(one["detail"], ensure_ascii=False))
    if not delivered:
        typer.echo("The bus has delivered nothing new.", err=True)


def rotate() -> None:
    """Rotate the database's password, as AWS does it, while Prosa runs."""
    read_file()
    url = os.environ["PROSA_DATABASE_URL"].replace("postgresql+asyncpg:", "postgresql:")
    asyncio.run(rotate_password(url))
    typer.echo(f"The secret {SECRET} is rotated, and every connection under the old one is ended.")


def _tenant() -> str:
    return os.environ["PROSA_JWT_CLIENT_IDS"]


def _reply_to(sqs: Any, key: str) -> Json:  # noqa: ANN401 - boto3's
    give_up_at = time.monotonic() + SECONDS
    while time.monotonic() < give_up_at:
        for reply in _taken(sqs, os.environ["PROSA_REPLY_QUEUE"]):
            if reply["data"]["metadata"].get("key") == key:
                return reply
    raise ConfigurationError(f"no reply came within {SECONDS} s: what make run-aws writes says why")


def _taken(sqs: Any, url: str) -> Iterator[Json]:  # noqa: ANN401 - boto3's
    """Take what is in a queue, and wait a moment for it."""
    while found := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=QUEUE_WAIT
    ).get("Messages"):
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            yield json.loads(message["Body"])
