"""What every unit of work promises, with its conversations and its idempotency keys."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from prosa.application.ports.request_log import LoggedRequest, RequestKey
from prosa.application.ports.unit_of_work import UnitOfWorkFactory, VersionConflict
from prosa.domain.content import Text, ToolCall, ToolResult
from prosa.domain.conversation import Conversation
from prosa.domain.errors import (
    ConversationBusy,
    ConversationNotFound,
    KeyTaken,
    TurnNotFound,
)
from prosa.domain.identifiers import ConversationId, TenantId, TurnId
from prosa.domain.intent import Intent
from prosa.domain.turn import Attempt, Turn
from prosa.testing.builders import (
    PROMPT,
    VirtualClock,
    a_call,
    a_conversation,
    a_reply,
    a_tenant,
    claim,
)


class UnitOfWorkContract:
    """Subclass it with a fixture `units_of_work`: a UnitOfWorkFactory on migrated storage."""

    @pytest.fixture
    def clock(self) -> VirtualClock:
        """Stand still at an instant with microseconds."""
        return VirtualClock()

    @pytest.fixture
    def tenant(self) -> TenantId:
        """Make up a tenant of this test's own."""
        return a_tenant()

    async def test_what_was_added_and_committed_can_be_got(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation = a_conversation(clock, tenant, metadata={"canal": "ação 🙂"})
        await add(units_of_work, conversation)
        got = await load(units_of_work, conversation)
        assert got.header == replace(conversation.header, version=1)

    async def test_leaving_without_commit_writes_nothing(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation = a_conversation(clock, tenant)
        async with units_of_work(tenant) as work:
            work.conversations.add(conversation)
        with pytest.raises(ConversationNotFound):
            await load(units_of_work, conversation)

    async def test_an_error_inside_writes_nothing(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation = a_conversation(clock, tenant)
        await add(units_of_work, conversation)

        async def break_off() -> None:
            async with units_of_work(tenant) as work:
                got = await work.conversations.get(conversation.header.id)
                claim(got, clock)
                work.conversations.save(got)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await break_off()
        assert (await load(units_of_work, conversation)).header.message_count == 0

    async def test_a_running_turn_comes_with_its_conversation(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation = a_conversation(clock, tenant)
        claim(conversation, clock)
        await add(units_of_work, conversation)
        got = await load(units_of_work, conversation)
        with pytest.raises(ConversationBusy):
            claim(got, clock)

    async def test_a_turn_reads_back_as_it_was_written(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation, running = await a_running_turn(units_of_work, clock, tenant)
        turn = await record(units_of_work, conversation, running, clock)
        async with units_of_work(tenant) as work:
            got = await work.conversations.get_by_turn(turn.id)
            read = run_again(got, turn.id, clock)
            assert read == turn
        assert turn.reply is not None
        # Answers are written from it again, to the letter: 1.0 is not 1.
        assert repr(read.intent) == repr(Intent(name="order_status", confidence=1.0))

    async def test_a_failed_turn_reads_back_with_its_error(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation, running = await a_running_turn(units_of_work, clock, tenant)
        async with units_of_work(tenant) as work:
            got = await work.conversations.get(conversation.header.id)
            attempt = replace(got.attempt_at(running), calls=(a_call(),), said="Olá. ")
            got.fail(attempt, code="model_unavailable", retryable=True, at=clock.moment)
            work.conversations.save(got)
            await work.commit()
        async with units_of_work(tenant) as work:
            got = await work.conversations.get_by_turn(running.id)
            again = run_again(got, running.id, clock)
        assert (again.attempt, again.failures) == (2, 1)
        assert again.message == running.message

    async def test_history_is_the_newest_messages_oldest_first(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation = await a_conversation_of(5, units_of_work, clock, tenant)
        got = await load(units_of_work, conversation, history=4)
        assert [message.sequence for message in got.history] == [7, 8, 9, 10]
        assert [message.text for message in got.history] == ["q 3", "a 3", "q 4", "a 4"]

    async def test_history_is_all_there_is_where_more_is_asked(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation = await a_conversation_of(2, units_of_work, clock, tenant)
        got = await load(units_of_work, conversation, history=50)
        assert [message.sequence for message in got.history] == [1, 2, 3, 4]

    async def test_no_history_comes_unasked(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation = await a_conversation_of(2, units_of_work, clock, tenant)
        assert (await load(units_of_work, conversation)).history == ()

    async def test_every_kind_of_part_survives(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        parts = (
            Text(text="Vou olhar: \"'\\ \u2028 😀"),
            ToolCall(id="call_1", name="find_order", arguments='{"n": "1"}'),
            ToolResult(call_id="call_1", content="[]"),
        )
        conversation, running = await a_running_turn(units_of_work, clock, tenant)
        async with units_of_work(tenant) as work:
            got = await work.conversations.get(conversation.header.id)
            reply = replace(a_reply(), parts=parts)
            got.record(replace(got.attempt_at(running), reply=reply), at=clock.moment)
            work.conversations.save(got)
            await work.commit()
        got = await load(units_of_work, conversation, history=1)
        assert got.history[0].parts == parts

    async def test_saving_an_unchanged_conversation_writes_nothing(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation = a_conversation(clock, tenant)
        await add(units_of_work, conversation)
        async with units_of_work(tenant) as work:
            work.conversations.save(await work.conversations.get(conversation.header.id))
            await work.commit()
        assert (await load(units_of_work, conversation)).header.version == 1

    async def test_who_saves_a_version_that_is_gone_writes_nothing(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation = a_conversation(clock, tenant)
        await add(units_of_work, conversation)
        late, early = [await load(units_of_work, conversation) for _ in range(2)]
        claim(early, clock, "first")
        async with units_of_work(tenant) as work:
            work.conversations.save(early)
            await work.commit()
        claim(late, clock, "second")
        async with units_of_work(tenant) as work:
            work.conversations.save(late)
            with pytest.raises(VersionConflict):
                await work.commit()
        got = await load(units_of_work, conversation, history=9)
        assert [message.text for message in got.history] == ["first"]

    async def test_of_many_at_once_each_builds_on_what_the_one_before_wrote(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        """Without comparing versions, turns would be lost or share a place in the order."""
        conversation = a_conversation(clock, tenant)
        await add(units_of_work, conversation)

        async def one_turn(number: int) -> None:
            async with units_of_work(tenant) as work:
                got = await work.conversations.get(conversation.header.id, history=100)
                assert len(got.history) == got.header.message_count
                await asyncio.sleep(0)
                turn = claim(got, clock, f"message {number}")
                got.record(replace(got.attempt_at(turn), reply=a_reply()), at=clock.moment)
                work.conversations.save(got)
                await work.commit()

        async def until_it_is_written(number: int) -> None:
            while True:
                try:
                    return await one_turn(number)
                except VersionConflict:
                    continue

        await asyncio.gather(*(until_it_is_written(number) for number in range(5)))
        got = await load(units_of_work, conversation, history=100)
        assert [message.sequence for message in got.history] == list(range(1, 11))

    async def test_an_attempt_ends_its_turn_without_loading_the_conversation_again(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        attempt = await a_running_attempt(units_of_work, clock, tenant)
        async with units_of_work(tenant) as work:
            resumed = Conversation.resume(attempt)
            resumed.record(replace(attempt, reply=a_reply()), at=clock.moment)
            work.conversations.save(resumed)
            await work.commit()
        async with units_of_work(tenant) as work:
            got = await work.conversations.get(attempt.conversation_id, history=9)
        assert [message.sequence for message in got.history] == [1, 2]
        assert got.header == replace(resumed.header, version=resumed.header.version + 1)

    async def test_of_two_that_end_one_turn_the_second_writes_nothing(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        attempt = await a_running_attempt(units_of_work, clock, tenant)

        async def end() -> None:
            async with units_of_work(tenant) as work:
                resumed = Conversation.resume(attempt)
                resumed.record(replace(attempt, reply=a_reply()), at=clock.moment)
                work.conversations.save(resumed)
                await work.commit()

        await end()
        with pytest.raises(VersionConflict):
            await end()
        async with units_of_work(tenant) as work:
            got = await work.conversations.get(attempt.conversation_id, history=9)
        assert [message.sequence for message in got.history] == [1, 2]

    async def test_another_tenants_conversation_is_not_there(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        conversation, running = await a_running_turn(units_of_work, clock, tenant)
        async with units_of_work(a_tenant()) as work:
            with pytest.raises(ConversationNotFound):
                await work.conversations.get(conversation.header.id)
            with pytest.raises(TurnNotFound):
                await work.conversations.get_by_turn(running.id)

    async def test_what_does_not_exist_is_not_found(
        self, units_of_work: UnitOfWorkFactory, tenant: TenantId
    ) -> None:
        async with units_of_work(tenant) as work:
            with pytest.raises(ConversationNotFound):
                await work.conversations.get(ConversationId("conv_" + "0" * 32))
            with pytest.raises(TurnNotFound):
                await work.conversations.get_by_turn(TurnId("turn_" + "0" * 32))

    async def test_a_claimed_key_is_found_with_what_it_was_claimed_for(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        request = await a_claimed_key(units_of_work, clock, tenant)
        async with units_of_work(tenant) as work:
            assert await work.requests.find(request.key) == request

    async def test_a_key_nobody_claimed_is_not_found(
        self, units_of_work: UnitOfWorkFactory, tenant: TenantId
    ) -> None:
        async with units_of_work(tenant) as work:
            assert await work.requests.find(a_key()) is None

    async def test_a_key_is_its_callers_its_operations_and_its_tenants_own(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        request = await a_claimed_key(units_of_work, clock, tenant)
        async with units_of_work(tenant) as work:
            assert await work.requests.find(replace(request.key, caller="somebody")) is None
            assert await work.requests.find(replace(request.key, operation="other")) is None
        async with units_of_work(a_tenant()) as work:
            assert await work.requests.find(request.key) is None

    async def test_a_taken_key_takes_everything_else_back_with_it(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        request = await a_claimed_key(units_of_work, clock, tenant)
        conversation = a_conversation(clock, tenant)
        async with units_of_work(tenant) as work:
            work.conversations.add(conversation)
            work.requests.add(replace(request, resource_id=conversation.header.id))
            with pytest.raises(KeyTaken):
                await work.commit()
        with pytest.raises(ConversationNotFound):
            await load(units_of_work, conversation)

    async def test_of_many_who_claim_a_key_at_once_one_succeeds(
        self, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
    ) -> None:
        async def try_to_claim() -> bool:
            conversation = a_conversation(clock, tenant)
            try:
                async with units_of_work(tenant) as work:
                    work.conversations.add(conversation)
                    work.requests.add(a_request(conversation, clock))
                    await work.commit()
            except KeyTaken:
                return False
            return True

        claimed = await asyncio.gather(*(try_to_claim() for _ in range(5)))
        assert claimed.count(True) == 1


def a_key() -> RequestKey:
    """Name a key in its scope."""
    return RequestKey(caller="", operation="take_turn", key="key-1")


def a_request(conversation: Conversation, clock: VirtualClock) -> LoggedRequest:
    """Claim the key for a conversation."""
    return LoggedRequest(
        key=a_key(),
        fingerprint="f" * 64,
        resource_id=conversation.header.id,
        created_at=clock.now,
    )


async def add(units_of_work: UnitOfWorkFactory, conversation: Conversation) -> None:
    """Store a new conversation."""
    async with units_of_work(conversation.header.tenant_id) as work:
        work.conversations.add(conversation)
        await work.commit()


async def load(
    units_of_work: UnitOfWorkFactory, conversation: Conversation, *, history: int = 0
) -> Conversation:
    """Load a stored conversation."""
    async with units_of_work(conversation.header.tenant_id) as work:
        return await work.conversations.get(conversation.header.id, history=history)


async def a_claimed_key(
    units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
) -> LoggedRequest:
    """Store a conversation and the key that created it."""
    conversation = a_conversation(clock, tenant)
    request = a_request(conversation, clock)
    async with units_of_work(tenant) as work:
        work.conversations.add(conversation)
        work.requests.add(request)
        await work.commit()
    return request


async def a_running_turn(
    units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
) -> tuple[Conversation, Turn]:
    """Store a conversation with a running turn."""
    conversation = a_conversation(clock, tenant)
    turn = claim(conversation, clock)
    await add(units_of_work, conversation)
    return conversation, turn


async def a_running_attempt(
    units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
) -> Attempt:
    """Store a conversation with a running turn, and begin the attempt at it."""
    conversation = a_conversation(clock, tenant)
    attempt = conversation.attempt_at(claim(conversation, clock))
    await add(units_of_work, conversation)
    return attempt


async def record(
    units_of_work: UnitOfWorkFactory, conversation: Conversation, turn: Turn, clock: VirtualClock
) -> Turn:
    """Record a reply to a running turn."""
    async with units_of_work(conversation.header.tenant_id) as work:
        got = await work.conversations.get(conversation.header.id)
        attempt = replace(
            got.attempt_at(turn),
            intent=Intent(name="order_status", confidence=1.0),
            prompt=PROMPT,
            reply=a_reply(),
            calls=(a_call(),),
            calls_made=1,
        )
        recorded = got.record(attempt, at=clock.moment)
        work.conversations.save(got)
        await work.commit()
    return recorded


def run_again(conversation: Conversation, turn_id: TurnId, clock: VirtualClock) -> Turn:
    """Ask for a turn again, which returns a completed one as it is."""
    options: dict[str, Any] = {"caller_waits": True, "at": clock.moment}
    return conversation.run_again(turn_id, deadline=clock.now, **options)


async def a_conversation_of(
    turns: int, units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
) -> Conversation:
    """Store a conversation with that many completed turns: `q 0`, `a 0`, `q 1`, …."""
    conversation = a_conversation(clock, tenant)
    for number in range(turns):
        clock.advance(1)
        turn = claim(conversation, clock, f"q {number}")
        reply = a_reply(f"a {number}")
        conversation.record(
            replace(conversation.attempt_at(turn), reply=reply, prompt=PROMPT), at=clock.moment
        )
    await add(units_of_work, conversation)
    return conversation
