"""What becomes of messages that channels push."""

import asyncio
import json
import logging
from collections.abc import Sequence

import pytest

from prosa.adapters.in_memory.delivery_ledger import InMemoryDeliveryLedger
from prosa.adapters.in_memory.language_model import Step
from prosa.adapters.in_memory.message_queue import InMemoryMessageQueue
from prosa.adapters.in_memory.reply_outlet import RecordingReplyOutlet
from prosa.adapters.in_memory.turn_runner import InMemoryTurnRunner
from prosa.application.deliver_reply import DeliverReply
from prosa.application.ports.language_model import ModelUnavailable
from prosa.application.ports.message_queue import (
    MessageQueueError,
    NewQueueMessage,
    ReceivedMessage,
)
from prosa.application.ports.reply_outlet import ReplyOutletError
from prosa.application.ports.turn_runner import AttemptId, TurnNotStarted
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.run_elsewhere import RunElsewhere
from prosa.application.turn_steps import TurnSteps
from prosa.domain.identifiers import ConversationId
from prosa.domain.turn import TurnStatus
from prosa.entrypoints.channel_messages import MessageReceived
from prosa.entrypoints.consuming import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Consumed,
    ConsumeMessages,
    Unconsumed,
    consume_batch,
)
from prosa.entrypoints.elsewhere import TakeTurnElsewhere
from tests.application.service import Service, Trouble, a_message
from tests.channels import pushed

SECRET = "meu cartão é 4111"  # noqa: S105 - no password, but what no log may repeat
NOWHERE = "conv_" + "0" * 32
DATA = "text, conversation_id, customer_id, metadata"


class Channel:
    """An installation that channels push messages to."""

    elsewhere = False
    """Whether turns run in a machine, and not where the messages are consumed."""

    def __init__(self, *script: Step, outlet: RecordingReplyOutlet | None = None) -> None:
        self.service = Service(*script)
        self.outlet = outlet or RecordingReplyOutlet()
        deliver = DeliverReply(
            reader=self.service.reader,
            ledger=InMemoryDeliveryLedger(),
            outlet=self.outlet,
            clock=self.service.clock,
        )
        self.runner = InMemoryTurnRunner(self.service.steps)
        take_turn = self.take_turn_elsewhere() if self.elsewhere else self.service.take_turn
        self.consume = ConsumeMessages(take_turn, deliver)

    def take_turn_elsewhere(self) -> TakeTurnElsewhere:
        """Have turns run in the machine."""
        service = self.service
        run_elsewhere = RunElsewhere(
            runner=self.runner, attempts=service.attempts, take_turn=service.take_turn
        )
        return TakeTurnElsewhere(
            accept=service.accept,
            run_elsewhere=run_elsewhere,
            reader=service.reader,
            clock=service.clock,
        )

    async def a_conversation(self) -> ConversationId:
        """Start a conversation."""
        return await self.service.a_conversation()


@pytest.fixture(autouse=True, params=["here", "elsewhere"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the turns run here and, once more, in a machine: all that is promised holds for both."""
    name: str = request.param
    monkeypatch.setattr(Channel, "elsewhere", name == "elsewhere")
    return name


def received(*bodies: str, group: str = "conv_1", receives: int = 1) -> list[ReceivedMessage]:
    """Receive messages of one group."""
    return [
        ReceivedMessage(
            id=f"{group}-{number}", group=group, body=body, receives=receives, receipt=str(number)
        )
        for number, body in enumerate(bodies, start=1)
    ]


def ids(left: Sequence[Unconsumed]) -> list[str]:
    """Name what was left."""
    return [one.message.id for one in left]


async def test_a_message_is_answered_and_its_reply_goes_out() -> None:
    channel = Channel()
    conversation = await channel.a_conversation()
    assert await channel.consume(received(pushed("Olá", conversation=conversation))) == ()
    assert channel.service.texts(conversation) == ["Olá", "Claro!"]
    (sent,) = channel.outlet.sent
    assert (sent.text, sent.conversation_id) == ("Claro!", conversation)


async def test_a_message_without_a_conversation_starts_one_of_its_channel_and_customer() -> None:
    channel = Channel()
    assert await channel.consume(received(pushed())) == ()
    (header,) = channel.service.state.headers.values()
    assert (header.channel, header.customer_id) == ("whatsapp", "customer-7")
    assert channel.outlet.sent[0].conversation_id == header.id


async def test_nobody_waits_for_its_turn_so_that_a_crashed_one_is_run_again() -> None:
    channel = Channel()
    await channel.consume(received(pushed()))
    (turn,) = channel.service.state.turns.values()
    assert not turn.caller_waits


async def test_without_a_reply_queue_replies_stay_where_they_are_stored() -> None:
    channel = Channel()
    consume = ConsumeMessages(channel.service.take_turn)
    assert await consume(received(pushed())) == ()
    assert channel.outlet.sent == []


async def test_the_messages_of_a_group_are_taken_one_after_the_other() -> None:
    channel = Channel("1.", "2.", "3.")
    conversation = await channel.a_conversation()
    bodies = [pushed(text, key=text, conversation=conversation) for text in "abc"]
    assert await channel.consume(received(*bodies)) == ()
    assert channel.service.texts(conversation) == ["a", "1.", "b", "2.", "c", "3."]


async def test_a_message_that_comes_again_has_no_second_effect() -> None:
    channel = Channel()
    messages = received(pushed())
    for _ in range(3):
        assert await channel.consume(messages) == ()
    assert len(channel.service.state.turns) == len(channel.outlet.sent) == 1


async def test_the_same_id_of_another_channel_is_another_message() -> None:
    channel = Channel()
    for source in ("whatsapp", "telegram"):
        assert await channel.consume(received(pushed(source=source))) == ()
    assert len(channel.service.state.turns) == 2


async def test_a_reply_that_could_not_be_sent_goes_out_when_the_message_comes_again() -> None:
    channel = Channel(outlet=RecordingReplyOutlet([ReplyOutletError("away")]))
    messages = received(pushed())
    assert ids(await channel.consume(messages)) == ["conv_1-1"]
    assert await channel.consume(messages) == ()
    assert len(channel.service.state.turns) == len(channel.outlet.sent) == 1


async def test_a_group_stops_at_a_failure_that_may_pass_and_others_go_on() -> None:
    channel = Channel(ModelUnavailable("down"))
    first, other = await channel.a_conversation(), await channel.a_conversation()
    failing = received(*(pushed(text, key=text, conversation=first) for text in "abc"))
    fine = received(pushed("d", key="d", conversation=other), group="conv_2")
    left = await channel.consume([*failing, *fine])
    assert ids(left) == ["conv_1-1", "conv_1-2", "conv_1-3"]
    assert channel.service.texts(first) == ["a"]
    assert channel.service.texts(other) == ["d", "Claro!"]
    assert await channel.consume([one.message for one in left]) == ()
    assert [text for text in channel.service.texts(first) if text != "Claro!"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (SECRET, "the body is no JSON"),
        (json.dumps([SECRET]), "the body must be an object"),
        (
            pushed(data={"text": SECRET, SECRET: 1}),
            f"data has a field that is not known here; data may have {DATA}",
        ),
        (pushed(data=SECRET), "data must be an object"),
        (pushed(data={"text": SECRET * 1000}), "data.text may have at most 8000 characters"),
        (pushed(" \u200b"), "data.text must have something in it that can be read"),
        (pushed("nul \x00"), "data.text must not contain the character NUL"),
        (pushed(data={"text": 7}), "data.text must be a string"),
        (
            pushed(data={"text": SECRET, "metadata": {SECRET: 1}}),
            "each value of data.metadata must be a string",
        ),
        (
            pushed(SECRET, conversation="conv_7"),
            "data.conversation_id must be `conv_` and 32 hexadecimal digits",
        ),
        (pushed(SECRET, key=""), "id must be 1 to 255 printable ASCII characters"),
        (pushed(SECRET, key="é"), "id must be 1 to 255 printable ASCII characters"),
        (
            pushed(SECRET, type="conversation.message.received.v2"),
            "type must be 'conversation.message.received.v1'",
        ),
        (pushed(SECRET, specversion="0.3"), "specversion must be '1.0'"),
        (pushed(SECRET, tenantid=None), "tenantid must be a string"),
        (pushed(SECRET, source=""), "source must not be empty"),
        (pushed(SECRET, time="yesterday"), "time must be a time with its zone (RFC 3339)"),
        (
            pushed(SECRET, time="2026-03-02T12:00:00"),
            "time must be a time with its zone (RFC 3339)",
        ),
        (
            pushed(SECRET, datacontenttype="text/plain"),
            "datacontenttype must be 'application/json'",
        ),
    ],
)
async def test_what_is_no_message_is_refused_and_the_log_says_why_and_nothing_of_it(
    body: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    channel = Channel()
    (left,) = await channel.consume(received(body))
    assert left.seconds == 0.0
    assert channel.service.state.turns == {}
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage() == (
        "message conv_1-1, received 1 time, is refused, and left for the dead-letter queue: "
        + reason
    )


async def test_a_refusal_is_told_once_however_often_the_message_comes_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel = Channel()
    conversation = await channel.a_conversation()
    channel.service.commits.append(Trouble(error=StorageUnavailable("away")))
    late = pushed(conversation=conversation)
    await channel.consume(received(late))  # tried again, and refused from then on
    await channel.service.close_conversation(a_message().tenant_id, conversation)
    for receives in range(2, 11):
        await channel.consume(received(late, receives=receives))
        await channel.consume(received("{}", group="conv_2", receives=receives))
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [message.split(",")[:2] for message in errors] == [
        ["message conv_1-1", " received 2 times"],
        ["message conv_2-1", " received 2 times"],
    ]


async def test_attributes_that_others_have_added_to_a_message_do_no_harm() -> None:
    channel = Channel()
    body = pushed(traceparent="00-0-0-00", partitionkey="7", time="2026-03-02T12:00:00Z")
    assert await channel.consume(received(body)) == ()


async def test_a_message_that_is_refused_holds_up_none_behind_it() -> None:
    channel = Channel()
    conversation = await channel.a_conversation()
    behind = pushed("b", key="b", conversation=conversation)
    assert ids(await channel.consume(received("{}", behind))) == ["conv_1-1"]
    assert channel.service.texts(conversation) == ["b", "Claro!"]


async def test_a_message_that_cannot_be_taken_for_good_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel = Channel()
    await channel.consume(received(pushed("a")))
    refused = [pushed("a", conversation=NOWHERE, key="other"), pushed("b")]
    left = await channel.consume(received(*refused))
    assert [one.seconds for one in left] == [0.0, 0.0]
    reasons = [record.getMessage().rpartition("queue: ")[2] for record in caplog.records]
    assert reasons == [
        f"there is no conversation {NOWHERE}",
        "this idempotency key was used before with another request; use a new key",
    ]


async def test_a_turn_that_has_failed_for_good_is_refused() -> None:
    channel = Channel(*[ModelUnavailable("down")] * 5)
    messages = received(pushed())
    pauses = [(await channel.consume(messages))[0].seconds for _ in range(6)]
    assert pauses == [FIRST_PAUSE] * 4 + [0.0] * 2


async def test_while_the_conversation_is_busy_a_message_waits_as_long_as_that_takes() -> None:
    channel = Channel()
    conversation = await channel.a_conversation()
    accepted = await channel.service.accept(a_message(to=conversation))
    (left,) = await channel.consume(received(pushed(conversation=conversation)))
    assert 0 < left.seconds <= 30
    assert accepted.attempt is not None
    await channel.service.take_turn.run(accepted.attempt)
    assert await channel.consume([left.message]) == ()


async def test_a_turn_that_runs_elsewhere_is_waited_for() -> None:
    channel = Channel()
    message = received(pushed())
    pushed_message = MessageReceived.model_validate_json(message[0].body)
    accepted = await channel.service.accept(pushed_message.as_customer_message())
    (left,) = await channel.consume(message)
    assert 0 < left.seconds <= 30
    assert accepted.attempt is not None
    await channel.service.take_turn.run(accepted.attempt)
    assert await channel.consume(message) == ()
    assert len(channel.outlet.sent) == 1


async def test_pauses_grow_with_each_failure_up_to_the_longest() -> None:
    channel = Channel()
    pauses = []
    for receives in (1, 2, 3, 100):
        channel.service.commits.append(Trouble(error=StorageUnavailable("away")))
        (left,) = await channel.consume(received(pushed(), receives=receives))
        pauses.append(left.seconds)
    assert pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, LONGEST_PAUSE]


async def test_a_bug_is_told_by_its_class_and_the_message_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel = Channel()
    channel.service.commits.append(Trouble(error=RuntimeError(SECRET)))
    (left,) = await channel.consume(received(pushed()))
    assert left.seconds == FIRST_PAUSE
    assert caplog.records[-1].levelno == logging.ERROR
    assert caplog.records[-1].getMessage().endswith("is tried again after 10 s: RuntimeError")
    assert SECRET not in caplog.text


class BreakingQueue(InMemoryMessageQueue):
    """Cannot delete."""

    async def delete(self, message: ReceivedMessage) -> None:
        """Fail."""
        raise MessageQueueError(f"SQS cannot be reached for {message.id}")


async def test_what_has_had_its_effect_is_deleted_and_the_rest_put_back() -> None:
    channel = Channel(ModelUnavailable("down"))
    queue = InMemoryMessageQueue(clock=channel.service.clock)
    for group in ("a", "b"):
        body = pushed(group, key=group)
        await queue.send(NewQueueMessage(group=group, body=body, deduplication_id=group))
    assert await consume_batch(queue, channel.consume) == Consumed(consumed=1, left=1)
    assert len(queue.bodies) == 1
    assert await consume_batch(queue, channel.consume) == Consumed()
    channel.service.clock.advance(FIRST_PAUSE)
    assert await consume_batch(queue, channel.consume) == Consumed(consumed=1)
    assert queue.bodies == []


async def test_a_message_that_cannot_be_deleted_comes_again_to_no_effect() -> None:
    channel = Channel()
    queue = BreakingQueue(clock=channel.service.clock, visibility_seconds=60)
    await queue.send(NewQueueMessage(group="a", body=pushed(), deduplication_id="a"))
    for _ in range(2):
        assert await consume_batch(queue, channel.consume) == Consumed(consumed=1)
        channel.service.clock.advance(60)
    assert len(channel.service.state.turns) == len(channel.outlet.sent) == 1


class TestTurnsInAMachine:
    """What may go wrong only there."""

    @pytest.fixture
    def where(self, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setattr(Channel, "elsewhere", True)
        return "elsewhere"

    async def test_no_turn_runs_where_its_message_is_consumed(self) -> None:
        channel = Channel()
        await channel.consume(received(pushed()))
        (turn,) = channel.service.state.turns.values()
        assert turn.attempt == 1
        assert [started.turn_id for started in channel.runner.started] == [turn.id]

    async def test_a_machine_that_takes_nothing_on_is_asked_again_for_the_next_attempt(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        channel = Channel()
        channel.runner.script.append(TurnNotStarted("there is no state machine take_turn"))
        messages = received(pushed())
        assert [one.seconds for one in await channel.consume(messages)] == [FIRST_PAUSE]
        assert "there is no state machine take_turn" in caplog.text
        assert await channel.consume(messages) == ()
        assert len(channel.outlet.sent) == 1

    async def test_a_failed_turn_is_said_by_what_it_failed_of(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        channel = Channel(ModelUnavailable(SECRET))
        await channel.consume(received(pushed()))
        (turn_id,) = channel.service.state.turns
        said = f"10 s: turn {turn_id} failed of model_unavailable; the same key runs it again"
        assert caplog.records[-1].getMessage().endswith(said)
        assert caplog.records[-1].levelno == logging.WARNING
        assert SECRET not in caplog.text

    async def test_a_turn_that_is_not_over_by_its_deadline_is_found_when_its_message_comes_again(
        self,
    ) -> None:
        channel = Channel()
        slow = SlowToRecord(channel.service)
        channel.runner = InMemoryTurnRunner(slow)
        channel.consume = ConsumeMessages(channel.take_turn_elsewhere())
        messages = received(pushed())
        assert [one.seconds for one in await channel.consume(messages)] == [FIRST_PAUSE]
        slow.may_record.set()
        await asyncio.gather(*channel.runner.started.values())
        assert await channel.consume(messages) == ()
        (turn,) = channel.service.state.turns.values()
        assert (turn.status, turn.attempt) == (TurnStatus.COMPLETED, 1)


class SlowToRecord(TurnSteps):
    """Records when the deadline has passed, and it is told to."""

    def __init__(self, service: Service) -> None:
        self.may_record = asyncio.Event()
        self._service = service

    async def classify(self, attempt_id: AttemptId) -> None:
        """Classify."""
        await self._service.steps.classify(attempt_id)

    async def generate(self, attempt_id: AttemptId) -> None:
        """Generate."""
        await self._service.steps.generate(attempt_id)

    async def record(self, attempt_id: AttemptId) -> None:
        """Have the deadline pass, and wait."""
        self._service.clock.advance(self._service.policy.deadline_seconds + 1)
        await self.may_record.wait()
        await self._service.steps.record(attempt_id)
