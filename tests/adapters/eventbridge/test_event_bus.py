"""What is particular to EventBridge: rules, partial failures, sizes, a bus that is not there."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from embedded_aws.loopback_server import CLOSE, HANG, LoopbackServer, Step, json_response, response
from embedded_aws.moto_server import own_client
from prosa.adapters.aws_client import TimeLimits
from prosa.adapters.event_format import envelope_of, type_of
from prosa.adapters.eventbridge.event_bus import (
    LAST_REQUEST_SECONDS,
    LOOK_SECONDS,
    EventBridgeEventBus,
)
from prosa.adapters.eventbridge.wire_format import MAX_BYTES, Entry, entry_of
from prosa.application.ports.event_bus import EventBusError, PublishedEvent, TryAgain
from prosa.domain.events import ConversationClosed, ConversationStarted
from prosa.domain.identifiers import DEFAULT_TENANT, ConversationId, EventId
from tests.adapters.openai.provider import STREAM_HEAD
from tests.aws import aws_error, operation, running_stub

IMPATIENT = TimeLimits(read=0.3)
"""For answers that never come; whatever else comes late on a busy machine is still in time."""


def some_event(number: int = 1, **fields: object) -> PublishedEvent:
    """Make a real event in its published form, with more fields in its envelope."""
    event = ConversationClosed(
        id=EventId(f"evt_{number}"),
        tenant_id=DEFAULT_TENANT,
        conversation_id=ConversationId("cnv_1"),
        sequence=number,
        occurred_at=datetime(2026, 3, 2, 12, 30, 15, 250_000, tzinfo=UTC),
        message_count=2,
    )
    envelope = json.dumps({**json.loads(envelope_of(event)), **fields})
    return PublishedEvent(id=event.id, type=type_of(event), envelope=envelope)


def started() -> PublishedEvent:
    """Make an event of another type."""
    event = ConversationStarted(
        id=EventId("evt_0"),
        tenant_id=DEFAULT_TENANT,
        conversation_id=ConversationId("cnv_1"),
        sequence=0,
        occurred_at=datetime(2026, 3, 2, 12, tzinfo=UTC),
        customer_id=None,
        channel="web",
    )
    return PublishedEvent(id=event.id, type=type_of(event), envelope=envelope_of(event))


@pytest.mark.usefixtures("aws")
class TestThroughARule:
    def arrived(self, queue: str) -> list[dict[str, Any]]:
        with own_client("sqs") as sqs:
            answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", ())]

    def queue_behind(self, bus: str, pattern: object) -> str:
        """Have a rule send what matches a pattern to a new queue, and give its address."""
        with own_client("sqs") as sqs, own_client("events") as events:
            queue: str = sqs.create_queue(QueueName="effects")["QueueUrl"]
            wanted = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
            events.put_rule(Name="effects", EventBusName=bus, EventPattern=json.dumps(pattern))
            targets = [{"Id": "queue", "Arn": wanted["Attributes"]["QueueArn"]}]
            events.put_targets(Rule="effects", EventBusName=bus, Targets=targets)
        return queue

    async def test_an_event_arrives_on_a_queue_with_its_type_source_time_and_whole_envelope(
        self,
    ) -> None:
        with own_client("events") as events:
            events.create_event_bus(Name="conversations")
        queue = self.queue_behind("conversations", {"source": ["prosa.conversations"]})
        event = some_event()
        bus = EventBridgeEventBus("conversations")
        assert await bus.publish([event]) == ()
        bus.close()
        (message,) = self.arrived(queue)
        assert message["detail-type"] == "conversation.closed.v1"
        assert message["source"] == "prosa.conversations"
        assert message["time"] == "2026-03-02T12:30:15Z"
        assert message["detail"] == json.loads(event.envelope)

    async def test_a_rule_sees_only_what_it_asks_for(self) -> None:
        queue = self.queue_behind(
            "default",
            {
                "detail-type": ["conversation.closed.v1"],
                "detail": {"data": {"sequence": [{"numeric": [">", 2]}]}},
            },
        )
        bus = EventBridgeEventBus()
        assert await bus.publish([started(), *map(some_event, range(1, 5))]) == ()
        bus.close()
        seen = [message["detail"]["id"] for message in self.arrived(queue)]
        assert seen == ["evt_3", "evt_4"]

    async def test_a_bus_that_does_not_exist_is_said_and_nothing_is_put(self) -> None:
        bus = EventBridgeEventBus("nowhere")
        with pytest.raises(EventBusError, match="no event bus 'nowhere' in this account"):
            await bus.publish([some_event()])
        bus.close()


@pytest.fixture
async def stub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopbackServer]:
    async with running_stub(monkeypatch) as stub:
        yield stub


@pytest.fixture
async def bus() -> AsyncIterator[EventBridgeEventBus]:
    bus = EventBridgeEventBus()
    yield bus
    bus.close()


@pytest.fixture
async def impatient() -> AsyncIterator[EventBridgeEventBus]:
    bus = EventBridgeEventBus(limits=IMPATIENT)
    yield bus
    bus.close()


def taken(count: int) -> bytes:
    return json_response(200, {"Entries": [{"EventId": "one"}] * count, "FailedEntryCount": 0})


class TestSingleEntries:
    async def test_success_of_the_request_is_not_success_of_each_event(
        self, stub: LoopbackServer, bus: EventBridgeEventBus
    ) -> None:
        entries = [
            {"EventId": "one"},
            {"ErrorCode": "ThrottlingException", "ErrorMessage": "xyzzy"},
            {"ErrorCode": "MalformedDetail", "ErrorMessage": "xyzzy"},
            {},
        ]
        stub.will(json_response(200, {"FailedEntryCount": 3, "Entries": entries}))
        refused = await bus.publish([some_event(number) for number in range(4)])
        assert [(one.id, one.reason, one.try_again) for one in refused] == [
            ("evt_1", "EventBridge could not take it now (ThrottlingException)", TryAgain.LATER),
            ("evt_2", "EventBridge did not take it (MalformedDetail)", TryAgain.NEVER),
            ("evt_3", "EventBridge did not take it (it gave no reason)", TryAgain.LATER),
        ]

    async def test_an_event_that_is_too_large_is_refused_by_itself(
        self, stub: LoopbackServer, bus: EventBridgeEventBus
    ) -> None:
        stub.will(taken(2))
        large = some_event(2, filling="x" * MAX_BYTES)
        refused = await bus.publish([some_event(1), large, some_event(3)])
        assert [one.id for one in refused] == ["evt_2"]
        assert "bytes, and may have less than 1000000" in refused[0].reason
        assert refused[0].try_again is TryAgain.NEVER
        assert put_ids(stub) == [["evt_1", "evt_3"]]

    @pytest.mark.parametrize("envelope", ["", "[]", "{}", '{"source": 1}', '{"source": ""}'])
    async def test_what_is_no_cloudevents_object_is_refused_by_itself(
        self, stub: LoopbackServer, bus: EventBridgeEventBus, envelope: str
    ) -> None:
        refused = await bus.publish([replace(some_event(), envelope=envelope)])
        assert [one.reason for one in refused] == ["its envelope is no CloudEvents object"]
        assert refused[0].try_again is TryAgain.NEVER
        assert stub.requests == []

    async def test_a_type_that_eventbridge_would_silently_drop_is_refused(
        self, stub: LoopbackServer, bus: EventBridgeEventBus
    ) -> None:
        (refused,) = await bus.publish([replace(some_event(), type="t" * 129)])
        assert refused.reason == "its type has 129 characters, and may have 128"
        assert refused.try_again is TryAgain.NEVER
        assert stub.requests == []

    async def test_requests_hold_ten_events_in_their_order_and_stay_under_the_limit(
        self, stub: LoopbackServer, bus: EventBridgeEventBus
    ) -> None:
        for count in (10, 4, 1):
            stub.will(taken(count))
        small = [some_event(number) for number in range(11)]
        large = [some_event(number, filling="x" * 300_000) for number in range(11, 15)]
        assert await bus.publish(small + large) == ()
        ids = [f"evt_{number}" for number in range(15)]
        assert put_ids(stub) == [ids[:10], ids[10:14], ids[14:]]


def put_ids(stub: LoopbackServer) -> list[list[str]]:
    """List the events of each request that was put."""
    bodies: list[Any] = [one.body for one in stub.requests if operation(one) == "PutEvents"]
    return [[json.loads(entry["Detail"])["id"] for entry in body["Entries"]] for body in bodies]


class TestEntries:
    def entry(self, **fields: object) -> Entry:
        entry = entry_of(some_event(1, **fields), "default")
        assert isinstance(entry, Entry)
        return entry

    def test_a_size_is_what_eventbridge_counts(self) -> None:
        envelope = '{"source":"prosa.conversations","time":"2026-03-02T12:00:00Z","said":"ação"}'
        entry = entry_of(replace(some_event(), envelope=envelope), "default")
        assert isinstance(entry, Entry)
        texts = ("prosa.conversations", "conversation.closed.v1", envelope)
        assert entry.size == 14 + sum(len(text.encode()) for text in texts)
        assert entry.size > 14 + sum(map(len, texts))

    @pytest.mark.parametrize(
        ("flags", "sampled"), [("00", "0"), ("01", "1"), ("02", "0"), ("03", "1")]
    )
    def test_a_trace_goes_on_in_x_rays_words(self, flags: str, sampled: str) -> None:
        entry = self.entry(
            traceparent=f"00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-{flags}"
        )
        assert entry.fields["TraceHeader"] == (
            f"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={sampled}"
        )

    @pytest.mark.parametrize(
        "traceparent",
        [
            None,
            7,
            "",
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8",
            "ff-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
            "00-00000000000000000000000000000000-53995c3f42cd8ad8-01",
            "00-5759e988bd862e3fe1be46a994272793-0000000000000000-01",
        ],
    )
    def test_what_is_no_trace_is_left_out(self, traceparent: object) -> None:
        assert "TraceHeader" not in self.entry(traceparent=traceparent).fields

    @pytest.mark.parametrize("written", [None, 5, "yesterday", "2026-03-02T12:00:00"])
    def test_a_time_that_says_nothing_is_left_to_eventbridge(self, written: object) -> None:
        assert "Time" not in self.entry(time=written).fields


class TestWholeRequests:
    @pytest.mark.parametrize(
        ("steps", "words"),
        [
            ((aws_error(500, "InternalException"),), "failed .InternalException."),
            ((aws_error(400, "ThrottlingException"),), "failed .ThrottlingException."),
            ((aws_error(400, "ValidationException", "xyzzy"),), "refused a request .Validation"),
            ((aws_error(400, "AccessDeniedException"),), "does not let this process .*PutEvents"),
            ((response(503, b"<html>xyzzy"),), "failed .503."),
            ((response(200, b"xyzzy"),), "answered for 0 of 1 events"),
            ((taken(2),), "answered for 2 of 1 events"),
            ((CLOSE,), "failed .ConnectionClosedError."),
        ],
    )
    async def test_a_failure_is_one_error_with_its_reason_after_one_request(
        self, stub: LoopbackServer, bus: EventBridgeEventBus, steps: tuple[Step, ...], words: str
    ) -> None:
        stub.will(*steps)
        with pytest.raises(EventBusError, match=words) as failure:
            await bus.publish([some_event()])
        assert "xyzzy" not in str(failure.value)
        assert len(stub.requests) == 1

    async def test_an_answer_that_comes_byte_by_byte_ends_in_time(
        self, stub: LoopbackServer
    ) -> None:
        stub.will(STREAM_HEAD, *(0.05, b"1\r\n \r\n") * 60)
        bus = EventBridgeEventBus(limits=TimeLimits(call=0.5))
        with pytest.raises(EventBusError, match="no answer in time"):
            await bus.publish([some_event()])
        bus.close()

    async def test_the_event_loop_runs_on_while_an_answer_is_awaited(
        self, stub: LoopbackServer, bus: EventBridgeEventBus
    ) -> None:
        stub.will(HANG)
        publishing = asyncio.create_task(bus.publish([some_event()]))
        await stub.asked.wait()
        assert not publishing.done()
        publishing.cancel()

    async def test_an_answer_that_does_not_come_is_given_up_after_one_request(
        self, stub: LoopbackServer, impatient: EventBridgeEventBus
    ) -> None:
        stub.will(HANG)
        with pytest.raises(EventBusError, match=r"failed \(ReadTimeoutError\)"):
            await impatient.publish([some_event()])
        await stub.left.wait()
        assert len(stub.requests) == 1

    async def test_after_a_failure_in_the_middle_the_rest_is_refused_and_not_tried(
        self, stub: LoopbackServer, bus: EventBridgeEventBus
    ) -> None:
        stub.will(taken(10))
        stub.will(aws_error(500, "InternalException"))
        refused = await bus.publish([some_event(number) for number in range(25)])
        assert [one.id for one in refused] == [f"evt_{number}" for number in range(10, 25)]
        assert {one.reason for one in refused} == {
            "EventBridge cannot be reached, or failed (InternalException)"
        }
        assert {one.try_again for one in refused} == {TryAgain.AT_ONCE}
        assert len(stub.requests) == 2

    async def test_no_request_begins_so_late_that_the_events_might_be_lent_to_another_meanwhile(
        self, stub: LoopbackServer
    ) -> None:
        for _ in range(10):
            stub.will(taken(10))
        seconds = itertools.count(step=LAST_REQUEST_SECONDS / 4)
        bus = EventBridgeEventBus(timer=lambda: next(seconds))
        refused = await bus.publish([some_event(number) for number in range(100)])
        bus.close()
        taken_of = len(put_ids(stub)) * 10
        assert 0 < taken_of < 100
        assert [one.id for one in refused] == [f"evt_{it}" for it in range(taken_of, 100)]
        assert {one.try_again for one in refused} == {TryAgain.AT_ONCE}

    async def test_nobody_in_particular_may_not_publish(
        self, stub: LoopbackServer, bus: EventBridgeEventBus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(EventBusError, match="it needs credentials"):
            await bus.publish([some_event()])
        assert stub.requests == []


class TestLookingForTheBus:
    """EventBridge itself reports success for a bus that does not exist."""

    @pytest.fixture
    async def named(self) -> AsyncIterator[EventBridgeEventBus]:
        bus = EventBridgeEventBus("conversations")
        yield bus
        bus.close()

    async def test_nothing_is_put_on_a_bus_that_was_not_found(
        self, stub: LoopbackServer, named: EventBridgeEventBus
    ) -> None:
        stub.will(aws_error(400, "ResourceNotFoundException"))
        with pytest.raises(EventBusError, match="no event bus 'conversations'"):
            await named.publish([some_event()])
        assert [operation(one) for one in stub.requests] == ["DescribeEventBus"]

    async def test_a_bus_is_looked_for_again_after_a_while(
        self, stub: LoopbackServer, named: EventBridgeEventBus
    ) -> None:
        for step in (json_response(200, {}), taken(1), taken(1), json_response(200, {}), taken(1)):
            stub.will(step)
        await named.publish([some_event()])
        await named.publish([some_event()])
        assert named._seen_at is not None
        named._seen_at -= LOOK_SECONDS + 1
        await named.publish([some_event()])
        asked = [operation(one) for one in stub.requests]
        look = ["DescribeEventBus"]
        assert asked == [*look, "PutEvents", "PutEvents", *look, "PutEvents"]
