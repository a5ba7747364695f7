"""Row 32 of the fault matrix: messages that come twice, out of order, or as poison."""

import logging
import random
import re
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain

import pytest

from prosa.adapters.in_memory.delivery_ledger import InMemoryDeliveryLedger
from prosa.adapters.in_memory.message_queue import DEDUPLICATED_FOR, InMemoryMessageQueue
from prosa.adapters.in_memory.reply_outlet import RecordingReplyOutlet
from prosa.application.deliver_reply import DeliverReply
from prosa.application.ports.delivery_ledger import Delivery
from prosa.application.ports.language_model import CircuitOpen, ModelRequest
from prosa.application.ports.message_queue import ReceivedMessage
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.redrive_messages import RedriveMessages
from prosa.domain.identifiers import ConversationId
from prosa.entrypoints.aws_lambda.consume_messages import consume_within
from prosa.entrypoints.consuming import LONGEST_PAUSE, ConsumeMessages, consume_batch
from tests.application.service import Service
from tests.channels import push, pushed

RECEIVES = 5
LOAN = 300.0
TEN = [str(number) for number in range(10)]
POISON = "4"


class ForgetfulLedger(InMemoryDeliveryLedger):
    """Loses its first delivery, as a process does that dies after it sent a reply."""

    def __init__(self) -> None:
        super().__init__()
        self._forgets = True

    async def add(self, delivery: Delivery) -> None:
        """Remember it, but for the first."""
        if self._forgets:
            self._forgets = False
            raise StorageUnavailable("the process is gone")
        await super().add(delivery)


class World:
    """An installation, a queue with its dead-letter queue, and who consumes of it."""

    def __init__(self, ledger: InMemoryDeliveryLedger | None = None) -> None:
        self.models_are_down = False
        self.service = Service(always=self.answer)
        self.clock = self.service.clock
        self.dead_letters = InMemoryMessageQueue(clock=self.clock)
        self.queue = InMemoryMessageQueue(
            clock=self.clock,
            visibility_seconds=LOAN,
            max_receives=RECEIVES,
            dead_letters=self.dead_letters,
        )
        self.outlet = RecordingReplyOutlet()
        deliver = DeliverReply(
            reader=self.service.reader,
            ledger=ledger or InMemoryDeliveryLedger(),
            outlet=self.outlet,
            clock=self.clock,
        )
        self.consume = ConsumeMessages(self.service.take_turn, deliver)

    def answer(self, _request: ModelRequest) -> str | CircuitOpen:
        """Answer as the model does."""
        return CircuitOpen("gpt-4o rests", 30) if self.models_are_down else "Claro!"

    async def by_worker(self) -> None:
        """Consume as `prosa consume` does."""
        await consume_batch(self.queue, self.consume)

    async def by_function(self) -> None:
        """Consume as Lambda does: what the function does not name is deleted, the rest waits."""
        messages = await self.queue.receive()
        answer = await consume_within(self.consume, messages, seconds=60)
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in messages:
            if message.id not in kept:
                await self.queue.delete(message)

    async def until_empty(self, consume: Callable[[], Awaitable[None]]) -> None:
        """Consume again and again, until the queue has nothing left."""
        for _ in range(10 * RECEIVES):
            if not self.queue.bodies:
                return
            await consume()
            self.clock.advance(LONGEST_PAUSE)
        raise AssertionError(f"{len(self.queue.bodies)} messages stay in the queue for ever")

    def customers_texts(self, conversation: ConversationId) -> list[str]:
        """Give what the customer said."""
        return self.service.texts(conversation)[::2]

    def sequences(self, conversation: ConversationId) -> list[int]:
        """Number what was said."""
        return [message.sequence for message in self.service.messages(conversation)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=["worker", "function"])
def consume(request: pytest.FixtureRequest, world: World) -> Callable[[], Awaitable[None]]:
    return world.by_worker if request.param == "worker" else world.by_function


async def test_a_message_that_is_pushed_and_received_again_and_again_has_one_effect(
    world: World, consume: Callable[[], Awaitable[None]]
) -> None:
    conversation = await world.service.a_conversation()
    for _ in range(3):
        body = pushed("Olá", conversation=conversation)
        for _ in range(2):  # of these the queue drops the second by itself
            await push(world.queue, body, group=conversation, key="wamid.1")
        await world.consume(await world.queue.receive())  # dies before it deletes
        world.clock.advance(DEDUPLICATED_FOR.total_seconds())
        await world.until_empty(consume)
    assert world.service.texts(conversation) == ["Olá", "Claro!"]
    assert len(world.outlet.sent) == 1


async def test_messages_that_come_out_of_order_and_twice_are_each_answered_once(
    world: World,
) -> None:
    conversation = await world.service.a_conversation()
    messages = [
        ReceivedMessage(
            id=f"message-{number}",
            group=f"group-{number}",
            body=pushed(text, key=text, conversation=conversation),
            receives=1,
            receipt="",
        )
        for number, text in enumerate(TEN * 2)
    ]
    random.Random(32).shuffle(messages)  # noqa: S311 - chance, no secret
    left: Sequence[ReceivedMessage] = messages
    while left:
        left = [one.message for one in await world.consume(left)]
    assert sorted(world.customers_texts(conversation)) == TEN
    assert world.sequences(conversation) == list(range(1, 21))
    assert len({reply.id for reply in world.outlet.sent}) == len(world.outlet.sent) == 10


@pytest.mark.parametrize("groups", [1, 3, 10])
async def test_of_ten_messages_with_a_poisonous_one_nine_succeed_and_it_ends_as_a_dead_letter(
    world: World,
    consume: Callable[[], Awaitable[None]],
    groups: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, ConsumeMessages.__module__)
    conversations = [await world.service.a_conversation() for _ in range(groups)]
    for number, text in enumerate(TEN):
        conversation = conversations[number % groups]
        body = "{}" if text == POISON else pushed(text, key=text, conversation=conversation)
        await push(world.queue, body, group=conversation, key=text)
    await world.until_empty(consume)
    texts = [world.customers_texts(conversation) for conversation in conversations]
    assert sorted(chain.from_iterable(texts)) == [text for text in TEN if text != POISON]
    assert all(said == sorted(said) for said in texts)
    assert len(world.outlet.sent) == 9
    assert world.dead_letters.bodies == ["{}"]
    refused = re.findall(r"message (\S+), received \d times?, is refused", caplog.text)
    assert len(refused) == RECEIVES
    assert len(set(refused)) == 1


async def test_what_an_outage_made_dead_letters_is_redriven_and_answered_once(
    world: World, consume: Callable[[], Awaitable[None]]
) -> None:
    conversation = await world.service.a_conversation()
    world.models_are_down = True
    for text in TEN:
        body = pushed(text, key=text, conversation=conversation)
        await push(world.queue, body, group=conversation, key=text)
    await world.until_empty(consume)
    assert len(world.dead_letters.bodies) == 10
    assert world.outlet.sent == []
    world.models_are_down = False
    redrive = RedriveMessages(queue=world.queue, dead_letters=world.dead_letters)
    assert await redrive() == 10
    await world.until_empty(consume)
    assert [text for text in world.service.texts(conversation) if text != "Claro!"] == TEN
    assert len(world.outlet.sent) == 10
    assert world.dead_letters.bodies == []


async def test_killed_after_a_reply_was_sent_it_is_sent_again_under_the_same_id() -> None:
    world = World(ForgetfulLedger())
    conversation = await world.service.a_conversation()
    body = pushed("Olá", conversation=conversation)
    await push(world.queue, body, group=conversation, key="wamid.1")
    await world.until_empty(world.by_worker)
    assert world.service.texts(conversation) == ["Olá", "Claro!"]
    first, second = world.outlet.sent
    assert first == second
