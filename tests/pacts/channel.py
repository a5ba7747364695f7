"""A channel's software, a sample consumer of replies: it sends each to its customer, once."""

import json
from dataclasses import dataclass, field

from pact import match

from tests.pacts.interactions import JSON, Written, play_message
from tests.pacts.shapes import CONVERSATION_ID, MESSAGE_ID, NAMES, TIME, TURN_ID

CONSUMER = "channel"
REPLY_READY = "conversation.reply.ready.v1"


@dataclass(slots=True)
class Channel:
    """Sends what it is given to customers; a reply that comes again is the same by its id."""

    sent: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The customer and the text, by the reply's id."""

    def take(self, contents: str) -> None:
        """Take a reply in."""
        event = json.loads(contents)
        assert event["type"] == REPLY_READY
        data = event["data"]
        self.sent[event["id"]] = (data["customer_id"], data["text"])


RELIED_ON = {
    "specversion": "1.0",
    "id": MESSAGE_ID,
    "source": "prosa.conversations",
    "type": REPLY_READY,
    "subject": CONVERSATION_ID,
    "time": TIME,
    "datacontenttype": JSON,
    "dataschema": f"urn:prosa:event:{REPLY_READY}",
    "tenantid": match.like("acme"),
    "correlationid": TURN_ID,
    "causationid": MESSAGE_ID,
    "data": {
        "conversation_id": CONVERSATION_ID,
        "turn_id": TURN_ID,
        "message_id": MESSAGE_ID,
        "reply_id": MESSAGE_ID,
        "channel": match.like("whatsapp"),
        "customer_id": match.like("customer-42"),
        "text": match.like("Chega amanhã."),
        "metadata": NAMES,
    },
}


def played(channel: Channel) -> Written:
    """Have the channel take a reply as it relies on it."""
    return play_message(CONSUMER, REPLY_READY, RELIED_ON, channel.take)
