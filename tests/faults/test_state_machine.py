"""Whatever happens in whatever order, the promises hold: a model-based test in virtual time.

Two processes on one storage, whose clocks may differ; each may die at any await. `make soak` tries
many more cases. A case that fails is printed with its steps, and with `@reproduce_failure` to run
it again.
"""

import contextlib
import json
from collections import defaultdict
from dataclasses import dataclass, field, replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from prosa.adapters.in_memory.event_bus import Answer as BusAnswer
from prosa.adapters.in_memory.language_model import Answer, Hang, ScriptedReply
from prosa.application.ports.event_bus import EventBusError, PublishedEvent
from prosa.application.ports.language_model import ModelUnavailable
from prosa.application.ports.unit_of_work import CommitUnknown, StorageUnavailable
from prosa.application.relay_outbox import LONGEST_PAUSE
from prosa.domain.content import Text
from prosa.domain.conversation_header import ConversationStatus
from prosa.domain.errors import KeyReused, ProsaError, TurnFailed
from prosa.domain.identifiers import ConversationId, TurnId
from prosa.domain.message import Role
from prosa.domain.turn import Turn, TurnStatus
from tests.application.service import TENANT, Listener, a_message
from tests.faults.world import Process, World

EXAMPLES = max(250, settings.default.max_examples if settings.default else 0)
"""`make soak` has a profile that asks for more."""

LONGEST_LEASE = 31.0
"""Seconds after which a lease has run out, by the clock that gave it."""

SKEW = 40.0
"""Seconds: more than any lease."""

TROUBLES: list[Answer] = [
    ModelUnavailable("away"),
    ScriptedReply(parts=(Text(text="Saiu hoje. Chega amanhã."),), cut_after=14),
    Hang(),
]


def half_refused(event: PublishedEvent) -> str | None:
    """Have the bus take about every second event."""
    return "not now" if json.loads(event.envelope)["data"]["sequence"] % 2 else None


WHICH = st.integers(0, 1)
"""One of two processes."""

ALL = 100
GATES = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, ALL, ALL, ALL, ALL])
"""How far a task goes at once; `ALL` is to its end."""

BUS_TROUBLES: list[BusAnswer] = [EventBusError("away"), half_refused]


@dataclass(frozen=True)
class Asked:
    """A customer's message with its key, as its client keeps it to send it again."""

    key: str
    text: str
    conversation_id: ConversationId | None


@dataclass
class Ledger:
    """What clients were told: nothing of it may turn out to be untrue."""

    accepted: dict[str, TurnId] = field(default_factory=dict)
    """The turn of each key whose message was acknowledged."""
    replies: dict[str, str] = field(default_factory=dict)
    """The reply that the client of a key was given."""
    refused: dict[str, str] = field(default_factory=dict)
    """Of what the turn of a key has failed for good."""


class Turns(RuleBasedStateMachine):
    """Posts, retries, deaths, pauses and failures, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.skews = [0.0, 0.0]
        self.processes = [Process(self.world), Process(self.world)]
        self.ledger = Ledger()
        self.asked: list[Asked] = []

    @initialize(skew=st.sampled_from([0.0, 0.0, SKEW]))
    def set_the_clocks(self, skew: float) -> None:
        """Have the second process believe, or not, that every lease of the first has run out."""
        self.skews[1] = skew
        self.processes[1] = Process(self.world, skew)

    # What clients do

    @rule(
        of=st.integers(0, 3), which=WHICH, gates=GATES, streamed=st.booleans(), waits=st.booleans()
    )
    def post(self, of: int, which: int, gates: int, *, streamed: bool, waits: bool) -> None:
        """Send a new message in a new conversation, or in one that is known."""
        known = list(self.world.storage.of(TENANT).headers)
        asked = Asked(
            key=f"key-{len(self.asked)}",
            text=f"pergunta {len(self.asked)}",
            conversation_id=known[of - 1] if 0 < of <= len(known) else None,
        )
        self.asked.append(asked)
        self._ask(asked, which, gates, streamed=streamed, waits=waits)

    @precondition(lambda self: self.asked)
    @rule(
        of=st.integers(0, 9), which=WHICH, gates=GATES, streamed=st.booleans(), waits=st.booleans()
    )
    def post_again(self, of: int, which: int, gates: int, *, streamed: bool, waits: bool) -> None:
        """Send a message again with its key, whatever became of it."""
        asked = self.asked[-1 - of % len(self.asked)]
        self._ask(asked, which, gates, streamed=streamed, waits=waits)

    @rule(ahead=GATES, behind=GATES, order=st.lists(WHICH, max_size=10), streamed=st.booleans())
    def race(self, ahead: int, behind: int, order: list[int], *, streamed: bool) -> None:
        """Send one message to both processes, which go on in some order."""
        self.post(0, 0, ahead, streamed=streamed, waits=True)
        self.post_again(0, 1, behind, streamed=streamed, waits=True)
        racing = self.world.running[-2:]
        for which in order if racing else ():
            self.world.let_through(racing[which % len(racing)], 2)

    @precondition(lambda self: self.ledger.accepted)
    @rule(which=WHICH, gates=GATES)
    def post_something_else_with_a_known_key(self, which: int, gates: int) -> None:
        asked = next(asked for asked in self.asked if asked.key in self.ledger.accepted)
        other = Asked(key=asked.key, text="outra coisa", conversation_id=asked.conversation_id)
        process = self.processes[which]
        self.world.begin(process, self._be_refused(process, other), gates)

    # What happens to what runs

    @rule(of=st.integers(0, 5), gates=GATES)
    def go_on(self, of: int, gates: int) -> None:
        """Let a task go on for a while."""
        if self.world.running:
            running = self.world.running[of % len(self.world.running)]
            self.world.let_through(running, gates)

    @rule(which=WHICH)
    def die(self, which: int) -> None:
        """Kill a process wherever its tasks are; another takes its place."""
        self.world.kill(self.processes[which])
        self.processes[which] = Process(self.world, self.skews[which])

    @rule(seconds=st.sampled_from([1, 10, 26, LONGEST_LEASE]))
    def tick(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(answer=st.sampled_from(TROUBLES))
    def trouble_the_model(self, answer: Answer) -> None:
        self.world.answers.append(answer)

    @rule(trouble=st.sampled_from(["lost", "unknown", "unknown but written"]))
    def trouble_a_commit(self, trouble: str) -> None:
        self.world.commits.append(trouble)

    @rule(answer=st.sampled_from(BUS_TROUBLES))
    def trouble_the_bus(self, answer: BusAnswer) -> None:
        self.world.bus.script.append(answer)

    # What an installation does by itself

    @rule(which=WHICH, gates=GATES)
    def relay(self, which: int, gates: int) -> None:
        self.world.begin(self.processes[which], self._relay(self.processes[which]), gates)

    @rule(which=WHICH, gates=GATES)
    def recover(self, which: int, gates: int) -> None:
        self.world.begin(self.processes[which], self._recover(self.processes[which]), gates)

    @rule(of=st.integers(0, 3), which=WHICH, gates=GATES)
    def close_a_conversation(self, of: int, which: int, gates: int) -> None:
        known = list(self.world.storage.of(TENANT).headers)
        if of < len(known):
            process = self.processes[which]
            self.world.begin(process, self._close(process, known[of]), gates)

    # What must hold at any time

    @invariant()
    def no_acknowledged_message_is_lost(self) -> None:
        state = self.world.storage.of(TENANT)
        for asked in self.asked:
            if turn_id := self.ledger.accepted.get(asked.key):
                turn = state.turns[turn_id]
                assert turn.message in state.messages[turn.conversation_id]
                assert turn.message.text == asked.text

    @invariant()
    def a_key_brings_one_reply_at_most(self) -> None:
        state = self.world.storage.of(TENANT)
        replies: defaultdict[TurnId, list[str]] = defaultdict(list)
        for messages in state.messages.values():
            for message in messages:
                if message.role is Role.ASSISTANT:
                    replies[message.turn_id].append(message.text)
        assert all(len(texts) == 1 for texts in replies.values())
        for key, text in self.ledger.replies.items():
            assert replies[self.ledger.accepted[key]] == [text]

    @invariant()
    def a_reply_is_the_newest_attempts(self) -> None:
        state = self.world.storage.of(TENANT)
        for turn in state.turns.values():
            if turn.reply is not None:
                assert (turn.id, turn.attempt) in state.attempts

    @invariant()
    def messages_are_in_order_and_without_gaps(self) -> None:
        state = self.world.storage.of(TENANT)
        for conversation_id, messages in state.messages.items():
            sequences = [message.sequence for message in messages]
            assert sequences == list(range(1, len(messages) + 1))
            assert state.headers[conversation_id].message_count == len(messages)

    @invariant()
    def events_are_published_in_order_once_they_are_committed(self) -> None:
        for published, committed in self._events():
            assert published == committed[: len(published)]

    def _events(self) -> list[tuple[list[int], list[int]]]:
        """Give, of each conversation, the events first published and those committed, in order."""
        committed: defaultdict[ConversationId, dict[str, int]] = defaultdict(dict)
        published: defaultdict[ConversationId, list[int]] = defaultdict(list)
        places = {}
        for event in self.world.storage.of(TENANT).events:
            committed[event.conversation_id][event.id] = event.sequence
            places[event.id] = event
        for event_id in dict.fromkeys(event.id for event in self.world.bus.published):
            event = places[event_id]  # what was never committed must not be told
            published[event.conversation_id].append(event.sequence)
        for found in committed.values():
            assert list(found.values()) == list(range(1, len(found) + 1))
        return [(published[place], list(found.values())) for place, found in committed.items()]

    def teardown(self) -> None:
        """Let everything end well: then nothing is stuck or missing, and nothing was untrue."""
        try:
            self._end_well()
        finally:
            self.world.close()

    def _end_well(self) -> None:
        self.world.commits.clear()
        self.world.answers.clear()
        self.world.bus.script.clear()
        self.world.finish()
        self.world.pass_time(LONGEST_LEASE + SKEW)
        process = self.processes[0]
        self.world.begin(process, self._recover(process), ALL)
        self.world.finish()
        turns = self.world.storage.of(TENANT).turns.values()
        assert all(turn.status is not TurnStatus.RUNNING for turn in turns)
        for asked in self.asked:
            if asked.key in self.ledger.accepted:
                self._ask(asked, 0, ALL, streamed=False, waits=True)
                self.world.finish()
                assert self._has_its_answer(asked), "the conversation is stuck"
        self.world.pass_time(LONGEST_PAUSE + SKEW)
        self.world.begin(process, self._relay(process), 0)
        self.world.finish()
        for published, committed in self._events():
            assert published == committed
        self.no_acknowledged_message_is_lost()
        self.a_key_brings_one_reply_at_most()
        self.messages_are_in_order_and_without_gaps()

    def _has_its_answer(self, asked: Asked) -> bool:
        """Whether a client was told how it ended; a closed conversation answers no more."""
        if asked.key in self.ledger.replies or asked.key in self.ledger.refused:
            return True
        state = self.world.storage.of(TENANT)
        turn = state.turns[self.ledger.accepted[asked.key]]
        return state.headers[turn.conversation_id].status is ConversationStatus.CLOSED

    # How clients ask, and what they note

    def _ask(self, asked: Asked, which: int, gates: int, *, streamed: bool, waits: bool) -> None:
        process = self.processes[which]
        self.world.begin(process, self._take(process, asked, streamed=streamed, waits=waits), gates)

    async def _take(self, process: Process, asked: Asked, *, streamed: bool, waits: bool) -> None:
        """Send a message and note what is told; any expected failure is an answer, too."""
        message = replace(
            a_message(asked.text, to=asked.conversation_id, key=asked.key), caller_waits=waits
        )
        shown = Listener() if streamed else None
        try:
            accepted = await process.take_turn.accept(message)
            self._note_acceptance(asked, accepted.turn)
            turn = accepted.turn
            if accepted.attempt is not None:
                turn = await process.take_turn.run(accepted.attempt, shown)
            self._note_reply(asked, turn, shown)
        except TurnFailed as failed:
            self._note_refusal(asked, failed)
        except ProsaError:
            return

    async def _be_refused(self, process: Process, other: Asked) -> None:
        message = a_message(other.text, to=other.conversation_id, key=other.key)
        with pytest.raises((KeyReused, StorageUnavailable, CommitUnknown)):
            await process.take_turn.accept(message)

    async def _relay(self, process: Process) -> None:
        with contextlib.suppress(EventBusError):
            await process.relay_outbox()

    async def _recover(self, process: Process) -> None:
        with contextlib.suppress(StorageUnavailable):
            await process.recover_turns()

    async def _close(self, process: Process, conversation_id: ConversationId) -> None:
        with contextlib.suppress(ProsaError):
            await process.close_conversation(TENANT, conversation_id)

    def _note_acceptance(self, asked: Asked, turn: Turn) -> None:
        assert self.ledger.accepted.setdefault(asked.key, turn.id) == turn.id

    def _note_refusal(self, asked: Asked, failed: TurnFailed) -> None:
        assert self.ledger.refused.setdefault(asked.key, failed.code) == failed.code
        assert asked.key not in self.ledger.replies

    def _note_reply(self, asked: Asked, turn: Turn, shown: Listener | None) -> None:
        assert turn.status is TurnStatus.COMPLETED
        assert turn.reply is not None
        assert self.ledger.replies.setdefault(asked.key, turn.reply.text) == turn.reply.text
        if shown is not None and shown.pieces:
            assert "".join(shown.pieces) == turn.reply.text


TestTurns = Turns.TestCase
TestTurns.settings = settings(max_examples=EXAMPLES, deadline=None, print_blob=True)
