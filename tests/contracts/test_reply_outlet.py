"""Every reply outlet keeps the contract."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from prosa.adapters.event_schemas import ReplyReady
from prosa.adapters.in_memory.reply_outlet import RecordingReplyOutlet
from prosa.adapters.sqs.reply_outlet import SqsReplyOutlet
from prosa.application.ports.reply_outlet import ReplyOutlet, ReplyOutletError
from prosa.testing.reply_outlet_contract import ReplyOutletContract, a_reply
from tests.sqs import a_queue, waiting


class TestInMemory(ReplyOutletContract):
    @pytest.fixture
    def outlet(self) -> ReplyOutlet:
        return RecordingReplyOutlet()

    @pytest.fixture
    def broken(self) -> ReplyOutlet:
        return RecordingReplyOutlet([ReplyOutletError("the outlet cannot be reached")])

    async def arrived(self, outlet: ReplyOutlet) -> Sequence[tuple[str, str]]:
        assert isinstance(outlet, RecordingReplyOutlet)
        return [(reply.id, reply.text) for reply in outlet.sent]


@pytest.mark.usefixtures("aws")
class TestSqs(ReplyOutletContract):
    """Against moto's server."""

    @pytest.fixture
    def outlet(self) -> Iterator[ReplyOutlet]:
        self._url = a_queue("replies")
        with closing(SqsReplyOutlet(self._url)) as outlet:
            yield outlet

    @pytest.fixture
    def broken(self) -> Iterator[ReplyOutlet]:
        with closing(SqsReplyOutlet(a_queue("replies").replace("replies", "gone"))) as outlet:
            yield outlet

    async def arrived(self, outlet: ReplyOutlet) -> Sequence[tuple[str, str]]:
        assert isinstance(outlet, SqsReplyOutlet)
        events = [ReplyReady.model_validate_json(one["Body"]) for one in waiting(self._url)]
        return [(event.id, event.data.text) for event in events]

    async def test_a_look_at_a_queue_that_is_not_there_says_so(self, broken: ReplyOutlet) -> None:
        with pytest.raises(ReplyOutletError, match="no such thing in this account and region"):
            await broken.check()

    async def test_a_reply_is_a_cloud_event_that_says_where_it_goes(
        self, outlet: ReplyOutlet
    ) -> None:
        reply = a_reply(1)
        await outlet.send(reply)
        (message,) = waiting(self._url)
        assert message["Attributes"]["MessageGroupId"] == reply.conversation_id
        assert message["Attributes"]["MessageDeduplicationId"] == reply.id
        event = json.loads(message["Body"])
        assert event["type"] == "conversation.reply.ready.v1"
        assert event["tenantid"] == "acme"
        assert event["time"] == "2026-03-02T12:00:00.123456Z"
        assert event["data"] == {
            "conversation_id": reply.conversation_id,
            "turn_id": reply.turn_id,
            "message_id": reply.message_id,
            "reply_id": reply.id,
            "channel": "whatsapp",
            "customer_id": "customer-7",
            "text": reply.text,
            "metadata": {"order": "4711"},
        }
