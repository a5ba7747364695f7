"""What an installation of Prosa needs in its account: queues, a bus, a user pool, a secret."""

import json
from dataclasses import dataclass
from typing import Any

from embedded_aws.moto_server import REGION, arn_of, own_client

BUS = "prosa"
EVENTS = "events"
"""The queue to which a rule sends all that is put on the bus."""

INBOUND, DEAD, REPLIES = "messages.fifo", "messages-dead.fifo", "replies.fifo"
RECEIVES = 10
"""After how many a message is a dead letter: docs/channels.md says why so many."""

CUSTOMER, SERVICE = "customer", "service"
USERS = {"ana": CUSTOMER, "desk": SERVICE}
"""The users of the pool, and the group that says each one's role."""

PASSWORD = "Correct-Horse-7"  # noqa: S105 - of accounts that live in this process


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where what was made is."""

    inbound_queue: str
    reply_queue: str
    pool: str
    client_id: str
    """The only client of the pool; it is the tenant."""

    @property
    def issuer(self) -> str:
        """What the pool's tokens claim in `iss`, to the letter."""
        return f"https://cognito-idp.{REGION}.amazonaws.com/{self.pool}"


def make_account() -> Account:
    """Make all of it in the account that this process's SDKs call."""
    with own_client("sqs") as sqs:
        inbound_queue, reply_queue = _make_queues(sqs)
    with own_client("events") as events:
        _make_bus(events)
    with own_client("cognito-idp") as cognito:
        pool, client_id = _make_pool(cognito)
    return Account(
        inbound_queue=inbound_queue, reply_queue=reply_queue, pool=pool, client_id=client_id
    )


def _make_queues(sqs: Any) -> tuple[str, str]:  # noqa: ANN401 - boto3's
    redrive = {"deadLetterTargetArn": arn_of("sqs", DEAD), "maxReceiveCount": RECEIVES}
    fifo = {"FifoQueue": "true"}
    sqs.create_queue(QueueName=EVENTS)
    sqs.create_queue(QueueName=DEAD, Attributes=fifo)
    inbound = sqs.create_queue(
        QueueName=INBOUND, Attributes={**fifo, "RedrivePolicy": json.dumps(redrive)}
    )
    replies = sqs.create_queue(QueueName=REPLIES, Attributes=fifo)
    return inbound["QueueUrl"], replies["QueueUrl"]


def _make_bus(events: Any) -> None:  # noqa: ANN401 - boto3's
    everything = json.dumps({"source": [{"prefix": "prosa."}]})
    events.create_event_bus(Name=BUS)
    events.put_rule(Name=EVENTS, EventBusName=BUS, EventPattern=everything)
    target = {"Id": "queue", "Arn": arn_of("sqs", EVENTS)}
    events.put_targets(Rule=EVENTS, EventBusName=BUS, Targets=[target])


def _make_pool(cognito: Any) -> tuple[str, str]:  # noqa: ANN401 - boto3's
    pool = cognito.create_user_pool(PoolName="prosa")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="acme")
    for group in (CUSTOMER, SERVICE):
        cognito.create_group(UserPoolId=pool, GroupName=group)
    for user, group in USERS.items():
        cognito.admin_create_user(UserPoolId=pool, Username=user)
        cognito.admin_set_user_password(
            UserPoolId=pool, Username=user, Password=PASSWORD, Permanent=True
        )
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=user, GroupName=group)
    return pool, client["UserPoolClient"]["ClientId"]
