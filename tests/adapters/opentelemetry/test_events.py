"""A trace across the outbox: the relay, EventBridge, and whoever reads the event at last."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.trace import Link, SpanKind, StatusCode

from embedded_aws.moto_server import own_client
from prosa.adapters.event_format import TRACEPARENT, traceparent_in
from prosa.adapters.in_memory.event_bus import RecordingEventBus
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.adapters.in_memory.message_queue import InMemoryMessageQueue
from prosa.adapters.in_memory.reply_outlet import RecordingReplyOutlet
from prosa.adapters.opentelemetry.event_bus import TracedEventBus
from prosa.adapters.opentelemetry.reply_outlet import TracedReplyOutlet
from prosa.adapters.opentelemetry.spans import context_of, span_context_in
from prosa.application.ports.event_bus import EventBus, EventBusError, PublishedEvent
from prosa.application.ports.message_queue import NewQueueMessage
from prosa.domain.identifiers import EventId
from prosa.entrypoints.consuming import ConsumeMessages, consume_batch
from prosa.settings import Settings
from prosa.testing.reply_outlet_contract import a_reply
from tests.adapters.opentelemetry.seeing import (
    MESSAGES,
    Seen,
    attributes_of,
    seen_app,
    trace_ids,
)
from tests.adapters.opentelemetry.seeing import context_of as span_of

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
KEPT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
REQUEST = f"POST {MESSAGES}"


def an_event(number: int, traceparent: str | None) -> PublishedEvent:
    told = {"id": f"evt_{number}", "traceparent": traceparent}
    return PublishedEvent(
        id=EventId(f"evt_{number}"), type="conversation.closed.v1", envelope=json.dumps(told)
    )


def traced(bus: EventBus, seen: Seen) -> TracedEventBus:
    return TracedEventBus(bus, seen.telemetry.tracing, system="test", destination="bus")


async def test_each_event_is_published_in_the_trace_of_the_commit_that_stored_it(
    settings: Settings, seen: Seen
) -> None:
    async with seen_app(settings, seen) as served:
        await served.say()
        assert (await served.app.relay_outbox()).published == 3
    published = [step for step in seen.tree() if "publish" in step]
    assert published == [
        f"{REQUEST} > accept > commit > publish conversation.started.v1",
        f"{REQUEST} > accept > commit > publish conversation.turn.started.v1",
        f"{REQUEST} > run > record > commit > publish conversation.turn.completed.v1",
    ]
    last = seen.one("publish conversation.turn.completed.v1")
    assert last.kind is SpanKind.PRODUCER
    assert attributes_of(last)["messaging.system"] == "log"
    assert attributes_of(last)["messaging.message.id"].startswith("evt_")


async def test_a_batch_is_linked_to_its_events_and_they_to_it(seen: Seen) -> None:
    other = f"00-{'a' * 32}-{'b' * 16}-01"
    events = [an_event(1, KEPT), an_event(2, other), an_event(3, None)]
    assert await traced(RecordingEventBus(), seen).publish(events) == ()
    batch = seen.one("relay")
    assert attributes_of(batch)["messaging.batch.message_count"] == 3
    linked = {f"{link.context.trace_id:032x}" for link in batch.links}
    assert linked == {TRACE_ID, "a" * 32}
    published = seen.named("publish conversation.closed.v1")
    assert trace_ids(published) == linked
    for span in published:
        (link,) = span.links
        assert link.context == span_of(batch)


async def test_a_refused_event_fails_in_its_own_trace_only(seen: Seen) -> None:
    def refuses(event: PublishedEvent) -> str | None:
        return "full" if event.id == "evt_2" else None

    events = [an_event(1, KEPT), an_event(2, KEPT)]
    refused = await traced(RecordingEventBus([refuses]), seen).publish(events)
    assert [one.id for one in refused] == ["evt_2"]
    failed = [attributes_of(span).get("error.type") for span in seen.spans]
    assert sorted(map(str, failed)) == ["None", "None", "refused"]


async def test_a_bus_that_fails_fails_all_of_them(seen: Seen) -> None:
    bus = traced(RecordingEventBus([EventBusError("away")]), seen)
    with pytest.raises(EventBusError):
        await bus.publish([an_event(1, KEPT)])
    assert {attributes_of(span)["error.type"] for span in seen.spans} == {"EventBusError"}
    assert {span.status.status_code for span in seen.spans} == {StatusCode.ERROR}


async def test_events_of_traces_that_are_not_kept_are_published_without_a_span(seen: Seen) -> None:
    bus = RecordingEventBus()
    unkept = KEPT.removesuffix("01") + "00"
    assert await traced(bus, seen).publish([an_event(1, unkept), an_event(2, None)]) == ()
    assert len(bus.published) == 2
    assert seen.spans == ()


def test_nobodys_words_are_taken_for_a_traceparent() -> None:
    told = json.dumps({"channel": f'"traceparent":"{KEPT}"', "data": f"traceparent: {KEPT}"})
    assert traceparent_in(told) is None
    assert traceparent_in(json.dumps({"traceparent": KEPT})) == KEPT


@pytest.mark.usefixtures("aws")
async def test_a_consumer_behind_eventbridge_can_link_to_the_turn(
    settings: Settings, seen: Seen
) -> None:
    queue = a_queue_behind_the_bus()
    settings = settings.model_copy(update={"event_bus": "eventbridge"})
    async with seen_app(settings, seen) as served:
        answer = await served.say()
        await served.app.relay_outbox()
    events = [json.loads(message["Body"]) for message in received(queue)]
    assert len(events) == 3
    for event in events:
        consume(event["detail"], seen)
    consumed = seen.named("consumer")
    turn = answer.headers["traceparent"].split("-")[1]
    assert {f"{link.context.trace_id:032x}" for span in consumed for link in span.links} == {turn}
    commits = {span_of(span).span_id for span in seen.named("commit")}
    assert {link.context.span_id for span in consumed for link in span.links} == commits


def consume(event: dict[str, Any], seen: Seen) -> None:
    """Read an event as a service of somebody else's would."""
    context = context_of(event["traceparent"])
    assert context is not None
    tracer = seen.traces.get_tracer("another service")
    tracer.start_span("consumer", links=[Link(span_context_in(context))]).end()


def a_queue_behind_the_bus() -> str:
    with own_client("sqs") as sqs, own_client("events") as events:
        url: str = sqs.create_queue(QueueName="turns")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        pattern = json.dumps({"source": ["prosa.conversations"]})
        events.put_rule(Name="turns", EventPattern=pattern)
        target = {"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}
        events.put_targets(Rule="turns", Targets=[target])
    return url


def received(url: str) -> Sequence[dict[str, Any]]:
    with own_client("sqs") as sqs:
        return list(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", ()))


async def test_a_message_from_a_queue_goes_on_with_the_trace_of_its_channel(
    settings: Settings, seen: Seen
) -> None:
    queue = InMemoryMessageQueue(clock=lambda: datetime.now(UTC))
    body = {
        "specversion": "1.0",
        "type": "conversation.message.received.v1",
        "id": "m-1",
        "source": "whatsapp",
        "tenantid": "acme",
        "traceparent": KEPT,
        "data": {"text": "Olá!"},
    }
    async with seen_app(settings, seen, ScriptedLanguageModel()) as served:
        await queue.send(NewQueueMessage(group="c", body=json.dumps(body), deduplication_id="m-1"))
        consume = ConsumeMessages(served.app.take_turn, telemetry=served.app.telemetry)
        assert (await consume_batch(queue, consume)).consumed == 1
    assert trace_ids(seen.spans) == {TRACE_ID}
    assert seen.tree()[:3] == ["consume", "consume > take turn", "consume > take turn > accept"]
    (link,) = seen.one("consume").links
    assert f"{link.context.trace_id:032x}" == TRACE_ID


async def test_a_reply_to_a_channel_tells_of_the_trace_that_sent_it(seen: Seen) -> None:
    told = []

    class Outlet(RecordingReplyOutlet):
        async def send(self, reply: Any) -> None:  # noqa: ANN401 - as the port has it
            told.append(TRACEPARENT.get())
            await super().send(reply)

    outlet = TracedReplyOutlet(Outlet(), seen.telemetry.tracing)
    with seen.telemetry.tracing.begin("consume"):
        await outlet.send(a_reply(1))
    await outlet.send(a_reply(2))
    span = span_of(seen.one("send reply"))
    assert told[0] is not None
    assert told[0].startswith(f"00-{span.trace_id:032x}-{span.span_id:016x}-")
    assert told[1] is None
