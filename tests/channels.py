"""Messages as a channel pushes them, for tests."""

import json

from prosa.application.ports.message_queue import MessageQueue, NewQueueMessage

TENANT = "acme"
CHANNEL = "whatsapp"


def pushed(
    text: str = "Cadê meu pedido?",
    *,
    key: str = "wamid.1",
    conversation: str | None = None,
    data: object = None,
    **fields: object,
) -> str:
    """Write a message as a channel does; `data` and `fields` take the place of what is usual."""
    usual = {"text": text, "conversation_id": conversation, "customer_id": "customer-7"}
    return json.dumps(
        {
            "specversion": "1.0",
            "type": "conversation.message.received.v1",
            "id": key,
            "source": CHANNEL,
            "tenantid": TENANT,
            "data": usual if data is None else data,
            **fields,
        }
    )


async def push(queue: MessageQueue, body: str, *, group: str, key: str) -> None:
    """Send a message as a channel does: in its conversation's group, known by its own id."""
    await queue.send(NewQueueMessage(group=group, body=body, deduplication_id=key))
