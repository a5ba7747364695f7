"""The header: all of a conversation but its messages."""

from dataclasses import replace

from prosa.domain.conversation_header import ConversationStatus, Owner
from prosa.domain.identifiers import TenantId
from prosa.testing.builders import VirtualClock, a_conversation, claim


def test_as_started_is_the_header_before_anything_came_of_it() -> None:
    clock = VirtualClock()
    conversation = a_conversation(clock, TenantId("acme"), metadata={"plan": "gold"})
    started = conversation.header
    clock.advance(60)
    claim(conversation, clock)
    later = replace(
        conversation.header, owner=Owner.HUMAN, status=ConversationStatus.CLOSED, version=7
    )
    assert later.as_started == replace(started, event_count=0)
