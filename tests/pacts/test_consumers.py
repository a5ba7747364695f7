"""Consumers' own code works with what they rely on, and that is what is committed of it."""

from typing import Any

import pytest

from prosa.adapters.event_schemas import EVENTS
from tests.entrypoints.http.serving import documented_operations
from tests.pacts import channel, event_reader, order_desk, web_client
from tests.pacts.interactions import Interaction
from tests.pacts.written import committed

MENDED_BY = "write the pacts anew: make pacts"


def named(interaction: Interaction[Any]) -> str:
    return interaction.description


@pytest.mark.parametrize("interaction", web_client.INTERACTIONS, ids=named)
def test_the_web_client_relies_on_what_is_committed_of(
    interaction: Interaction[web_client.WebClient],
) -> None:
    written = web_client.played(interaction)
    assert committed(web_client.CONSUMER).get(interaction.description) == written, MENDED_BY


@pytest.mark.parametrize("interaction", order_desk.INTERACTIONS, ids=named)
def test_the_order_desk_relies_on_what_is_committed_of(
    interaction: Interaction[order_desk.OrderDesk],
) -> None:
    written = order_desk.played(interaction)
    assert committed(order_desk.CONSUMER).get(interaction.description) == written, MENDED_BY


def test_the_event_reader_relies_on_what_is_committed_of_every_published_event() -> None:
    ledger = event_reader.Ledger()
    written = {kind: event_reader.played(kind, ledger) for kind in EVENTS}
    assert committed(event_reader.CONSUMER) == written, MENDED_BY
    assert ledger == event_reader.Ledger(
        seen=ledger.seen,
        tokens={event_reader.CONVERSATION: 252},
        failures={event_reader.TURN: "model_rejected"},
        circuits={"scripted": "open"},
    )
    assert len(ledger.seen) == len(EVENTS)


def test_the_channel_relies_on_what_is_committed_of_a_reply() -> None:
    software = channel.Channel()
    assert committed(channel.CONSUMER) == {channel.REPLY_READY: channel.played(software)}, MENDED_BY
    assert list(software.sent.values()) == [("customer-42", "Chega amanhã.")]


def test_nothing_is_committed_that_no_consumer_relies_on() -> None:
    assert set(committed(web_client.CONSUMER)) == set(map(named, web_client.INTERACTIONS))
    assert set(committed(order_desk.CONSUMER)) == set(map(named, order_desk.INTERACTIONS))


def test_every_route_is_in_a_pact() -> None:
    interactions: tuple[Interaction[Any], ...] = (
        *web_client.INTERACTIONS,
        *order_desk.INTERACTIONS,
    )
    asked = {(one.request.method, one.request.path) for one in interactions}
    for path, method, operation in documented_operations():
        assert any(method == asked_by and path.fullmatch(address) for asked_by, address in asked), (
            operation["operationId"]
        )
