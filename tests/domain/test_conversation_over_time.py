"""Whatever happens to a conversation, in whatever order: its messages and turns stay in order."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from prosa.domain.conversation import Conversation
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.errors import ProsaError
from prosa.domain.events import Event
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.message import Message, Role
from prosa.domain.turn import MAX_FAILURES, Attempt, Turn, TurnStatus
from prosa.testing.builders import VirtualClock, a_conversation, a_reply, claim

Change = Callable[["Archive", int], None]


class SavedBySomebodyElseError(ProsaError):
    """The version that was loaded is gone."""


@dataclass
class Archive:
    """A conversation as storage keeps it, and every attempt that anybody ever began."""

    clock: VirtualClock
    header: ConversationHeader
    turns: dict[TurnId, Turn] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    def load(self, wanted: Turn | None = None) -> Conversation:
        """Load it as a repository does: with its running turn, and the one that is asked about."""
        named = {self.header.running_turn_id, wanted.id if wanted else None} - {None}
        turns = [turn for turn in self.turns.values() if turn.id in named]
        return Conversation.restore(self.header, turns=turns, history=self.messages[-3:])

    def save(self, conversation: Conversation) -> None:
        """Write what came of it, if nobody else has since it was loaded."""
        header = conversation.header
        if header.version != self.header.version:
            raise SavedBySomebodyElseError
        self.header = replace(header, version=header.version + 1)
        self.turns |= conversation.changes.turns
        self.messages += conversation.changes.messages
        self.events += conversation.changes.events

    def one_turn(self, choice: int) -> Turn | None:
        turns = list(self.turns.values())
        return turns[choice % len(turns)] if turns else None

    def one_attempt(self, choice: int) -> Attempt | None:
        return self.attempts[choice % len(self.attempts)] if self.attempts else None


def write(archive: Archive, _: int) -> None:
    conversation = archive.load()
    turn = claim(conversation, archive.clock)
    archive.attempts.append(conversation.attempt_at(turn))
    archive.save(conversation)


def ask_again(archive: Archive, choice: int) -> None:
    if turn := archive.one_turn(choice):
        conversation = archive.load(turn)
        at = archive.clock.moment
        deadline = at.now + timedelta(seconds=10)
        again = conversation.run_again(turn.id, deadline=deadline, caller_waits=True, at=at)
        if again.status is TurnStatus.RUNNING:
            archive.attempts.append(conversation.attempt_at(again))
        archive.save(conversation)


def answer(archive: Archive, choice: int) -> None:
    if attempt := archive.one_attempt(choice):
        conversation = archive.load() if choice % 2 else Conversation.resume(attempt)
        turn = conversation.record(replace(attempt, reply=a_reply()), at=archive.clock.moment)
        assert turn.attempt == attempt.number
        archive.save(conversation)


def give_up(archive: Archive, choice: int) -> None:
    if attempt := archive.one_attempt(choice):
        conversation = archive.load() if choice % 2 else Conversation.resume(attempt)
        retryable = choice % 5 > 0
        turn = conversation.fail(attempt, code="x", retryable=retryable, at=archive.clock.moment)
        assert turn.attempt == attempt.number
        archive.save(conversation)


def wait(archive: Archive, choice: int) -> None:
    archive.clock.advance(choice % 40)


def close(archive: Archive, choice: int) -> None:
    if choice % 7 == 0:
        conversation = archive.load()
        conversation.close(at=archive.clock.moment)
        archive.save(conversation)


def in_order(archive: Archive) -> bool:
    """Messages and events have one total order each, without gaps."""
    return (
        [message.sequence for message in archive.messages]
        == list(range(1, archive.header.message_count + 1))
        and [event.sequence for event in archive.events]
        == list(range(1, archive.header.event_count + 1))
        and len({message.id for message in archive.messages}) == len(archive.messages)
    )


def one_at_a_time(archive: Archive) -> bool:
    """At most one turn runs, and it is the one that the header names."""
    running = [turn.id for turn in archive.turns.values() if turn.status is TurnStatus.RUNNING]
    named = archive.header.running_turn_id
    return running == ([] if named is None else [named])


def one_reply_each(archive: Archive) -> bool:
    """Each turn has one message, and one reply if it is complete, else none."""
    said = [(message.turn_id, message.role) for message in archive.messages]
    return all(
        said.count((turn.id, Role.USER)) == 1
        and said.count((turn.id, Role.ASSISTANT)) == (turn.status is TurnStatus.COMPLETED)
        and turn.failures <= MAX_FAILURES
        for turn in archive.turns.values()
    )


changes = st.sampled_from([write, ask_again, answer, give_up, wait, close])


@settings(deadline=None, max_examples=150)
@given(steps=st.lists(st.tuples(changes, st.integers(0, 1000)), min_size=12, max_size=60))
def test_whatever_happens_the_conversation_stays_in_order(
    steps: list[tuple[Change, int]],
) -> None:
    clock = VirtualClock()
    started = a_conversation(clock, TenantId("acme"))
    archive = Archive(clock=clock, header=started.header)
    archive.save(started)
    for change, choice in steps:
        finished = [turn for turn in archive.turns.values() if turn.status is TurnStatus.COMPLETED]
        with suppress(ProsaError):  # Refused, and nothing was saved: as good an outcome as any.
            change(archive, choice)
        assert in_order(archive)
        assert one_at_a_time(archive)
        assert one_reply_each(archive)
        assert all(archive.turns[turn.id] == turn for turn in finished)
