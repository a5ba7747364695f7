"""What AWS invokes functions with: batches of a queue, and events of a bus."""

import json
from typing import Any

from embedded_aws.moto_server import REGION

Event = dict[str, Any]


def queue_event(*bodies: str, group: str = "conv_1", receives: int = 1) -> Event:
    """Make the event that Lambda makes of messages of one group.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-fifo-queue-message-event
    """
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"receipt-{number}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": str(receives),
                    "SentTimestamp": "1573251510774",
                    "SequenceNumber": "18849496460467696128",
                    "MessageGroupId": group,
                    "MessageDeduplicationId": "1",
                    "SenderId": "AIDAIO23YVJENQZJOL4VO",
                    "ApproximateFirstReceiveTimestamp": "1573251510774",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:123456789012:messages.fifo",
                "awsRegion": REGION,
            }
            for number, body in enumerate(bodies)
        ]
    }


def bus_event(body: str) -> Event:
    """Make the event that EventBridge invokes a function with.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
    """
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "conversation.message.received.v1",
        "source": "com.example.forms",
        "account": "123456789012",
        "time": "2026-11-22T08:00:00Z",
        "region": REGION,
        "resources": [],
        "detail": json.loads(body),
    }
