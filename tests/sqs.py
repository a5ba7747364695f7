"""FIFO queues on moto's server, for tests."""

import json
from typing import Any

from embedded_aws.moto_server import own_client

RECEIVES = 5


def a_queue(name: str = "messages", *, dead_letters: str | None = None) -> str:
    """Make a FIFO queue, and give its URL; `dead_letters` names its dead-letter queue."""
    attributes = {"FifoQueue": "true"}
    with own_client("sqs") as sqs:
        if dead_letters is not None:
            arn = f"arn:aws:sqs:{sqs.meta.region_name}:123456789012:{dead_letters}.fifo"
            policy = {"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES}
            attributes["RedrivePolicy"] = json.dumps(policy)
        url: str = sqs.create_queue(QueueName=f"{name}.fifo", Attributes=attributes)["QueueUrl"]
    return url


def queues() -> tuple[str, str]:
    """Make a queue with a dead-letter queue, and give the URLs of both."""
    dead_letters = a_queue("dead")
    return a_queue(dead_letters="dead"), dead_letters


def push(
    url: str, body: str, *, group: str = "conv_1", deduplication_id: str | None = None
) -> None:
    """Send a message as a channel does."""
    with own_client("sqs") as sqs:
        sqs.send_message(
            QueueUrl=url,
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=deduplication_id or body.encode().hex()[-128:],
        )


def waiting(url: str) -> list[dict[str, Any]]:
    """Receive what is in a queue."""
    with own_client("sqs") as sqs:
        answer = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        )
    return list(answer.get("Messages", ()))
