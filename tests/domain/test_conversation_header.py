"""The header: all of a conversation but its messages."""

from dataclasses import replace

import pytest

from prosa.domain.conversation_header import ConversationStatus, Owner
from prosa.domain.errors import ConversationNotFound
from prosa.domain.identifiers import TenantId
from prosa.testing.builders import VirtualClock, a_conversation, claim

TENANT = TenantId("acme")


def test_as_started_is_the_header_before_anything_came_of_it() -> None:
    clock = VirtualClock()
    conversation = a_conversation(clock, TENANT, metadata={"plan": "gold"})
    started = conversation.header
    clock.advance(60)
    claim(conversation, clock)
    later = replace(
        conversation.header, owner=Owner.HUMAN, status=ConversationStatus.CLOSED, version=7
    )
    assert later.as_started == replace(started, event_count=0)


@pytest.mark.parametrize("asking", [None, "customer-7"])
def test_a_conversation_is_reached_by_its_customer_and_by_who_reaches_all(
    asking: str | None,
) -> None:
    a_conversation(VirtualClock(), TENANT, customer_id="customer-7").header.require_reachable(
        asking
    )


@pytest.mark.parametrize("owner", ["customer-7", None])
@pytest.mark.parametrize("asking", ["customer-8", ""])
def test_for_anybody_else_there_is_no_such_conversation(owner: str | None, asking: str) -> None:
    conversation = a_conversation(VirtualClock(), TENANT, customer_id=owner)
    with pytest.raises(ConversationNotFound):
        conversation.header.require_reachable(asking)
