"""Every event bus keeps the contract."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest

from embedded_aws.loopback_server import Received, Step, json_response
from embedded_aws.moto_server import own_client
from prosa.adapters.eventbridge.event_bus import EventBridgeEventBus
from prosa.adapters.in_memory.event_bus import RecordingEventBus
from prosa.adapters.log.event_bus import LogEventBus
from prosa.application.ports.event_bus import EventBus, EventBusError, PublishedEvent
from prosa.testing.event_bus_contract import EventBusContract
from tests.aws import point_at, running_stub


class TestInMemory(EventBusContract):
    @pytest.fixture
    def event_bus(self) -> EventBus:
        return RecordingEventBus()

    @pytest.fixture
    def refusing(self) -> EventBus:
        def refuses(event: PublishedEvent) -> str | None:
            return "throttled" if event.id in {"evt_3", "evt_12"} else None

        return RecordingEventBus([refuses])

    @pytest.fixture
    def broken(self) -> EventBus:
        return RecordingEventBus([EventBusError("the bus cannot be reached")])

    async def arrived(self, event_bus: EventBus) -> Sequence[str]:
        assert isinstance(event_bus, RecordingEventBus)
        return [event.envelope for event in event_bus.published]


class TestLog(EventBusContract):
    @pytest.fixture(autouse=True)
    def lines(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", logger="prosa.events")
        self._log = caplog

    @pytest.fixture
    def event_bus(self) -> EventBus:
        return LogEventBus()

    async def arrived(self, event_bus: EventBus) -> Sequence[str]:
        assert isinstance(event_bus, LogEventBus)
        return [record.getMessage() for record in self._log.records]


@pytest.mark.usefixtures("aws")
class TestEventBridge(EventBusContract):
    """Against moto's server, and a stub where it takes everything."""

    @pytest.fixture
    async def event_bus(self) -> AsyncIterator[EventBus]:
        self._arrived = self._in_the_queue
        with own_client("sqs") as sqs, own_client("events") as events:
            self._queue = sqs.create_queue(QueueName="all")["QueueUrl"]
            events.put_rule(Name="all", EventPattern='{"source": ["prosa.conversations"]}')
            arn = f"arn:aws:sqs:{events.meta.region_name}:123456789012:all"
            events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])
        bus = EventBridgeEventBus()
        yield bus
        bus.close()

    @pytest.fixture
    async def refusing(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EventBus]:
        self._taken: list[str] = []
        self._arrived = lambda: self._taken
        async with running_stub(monkeypatch) as stub:
            stub.otherwise = self._refuse_some
            bus = EventBridgeEventBus()
            yield bus
            bus.close()

    @pytest.fixture
    async def broken(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EventBus]:
        point_at("http://127.0.0.1:1", monkeypatch)
        bus = EventBridgeEventBus()
        yield bus
        bus.close()

    async def arrived(self, event_bus: EventBus) -> Sequence[str]:
        assert isinstance(event_bus, EventBridgeEventBus)
        return self._arrived()

    def _in_the_queue(self) -> list[str]:
        """Empty the queue; EventBridge has read the envelopes, so they are written anew."""
        bodies: list[str] = []
        with own_client("sqs") as sqs:
            while found := sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get(
                "Messages"
            ):
                bodies += [message["Body"] for message in found]
        details = [json.loads(body)["detail"] for body in bodies]
        return [json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in details]

    def _refuse_some(self, received: Received) -> Iterable[Step]:
        body: Any = received.body
        results = []
        for entry in body["Entries"]:
            if json.loads(entry["Detail"])["id"] in {"evt_3", "evt_12"}:
                results.append(
                    {"ErrorCode": "ThrottlingException", "ErrorMessage": entry["Detail"]}
                )
            else:
                self._taken.append(entry["Detail"])
                results.append({"EventId": "one"})
        return (json_response(200, {"Entries": results}),)
