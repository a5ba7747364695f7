"""Several processes on one storage, in virtual time, each of which may die at any await.

Whatever a process does to the world outside passes a gate, before and after. A task goes on only
when the test lets it through, so that a test decides how tasks interleave and where one dies. Of
a dead process nothing passes a gate any more, also no cleanup: storage is as the process left it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from prosa.adapters.in_memory.event_bus import RecordingEventBus
from prosa.adapters.in_memory.expired_turns import InMemoryExpiredTurns
from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
from prosa.adapters.in_memory.language_model import Answer, ScriptedLanguageModel, ScriptedReply
from prosa.adapters.in_memory.outbox import InMemoryOutbox
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.application.ports.event_bus import EventBus, PublishedEvent, RefusedEvent
from prosa.application.ports.expired_turns import ExpiredTurn
from prosa.application.ports.guardrail import Passage
from prosa.application.ports.language_model import ModelRequest
from prosa.application.ports.outbox import FailedEntry, OutboxEntry
from prosa.application.ports.unit_of_work import CommitUnknown, StorageUnavailable, UnitOfWork
from prosa.application.recover_turns import RecoverTurns
from prosa.application.relay_outbox import RelayOutbox
from prosa.domain.content import Text
from prosa.domain.identifiers import EventId, TenantId
from prosa.domain.verdict import Verdict
from prosa.testing.builders import VirtualClock
from tests.application.service import Service

ROUNDS_AT_LEAST, ROUNDS_AT_MOST = 4, 40
"""So many turns of the event loop bring every task to a gate, or to a wait for time to pass."""

Commit = Callable[[], Awaitable[None]]


class Died(BaseException):
    """The process of the task is dead. No `except Exception` catches it."""


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop by the test's clock: a timeout ends when the test moves it there."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._virtual = clock

    def time(self) -> float:
        """Tell the present instant, in seconds."""
        return self._virtual.now.timestamp()


class Running:
    """What one process was asked to do: it goes from gate to gate."""

    def __init__(self, process: "Process", work: Coroutine[Any, Any, None]) -> None:
        self.process = process
        self.rests = False
        self._turnstile = asyncio.Semaphore(0)
        token = _RUNNING.set(self)
        self.task = asyncio.get_running_loop().create_task(work)
        _RUNNING.reset(token)

    @property
    def is_over(self) -> bool:
        return self.task.done() or not self.process.alive

    def let_through(self) -> None:
        """Open the next gate."""
        self.rests = False
        self._turnstile.release()

    async def wait_here(self) -> None:
        self.rests = True
        try:
            await self._turnstile.acquire()
        finally:
            self.rests = False


_RUNNING: ContextVar[Running] = ContextVar("running")
"""Whose gate it is: tasks that a task starts pass the same ones."""


class SkewedClock(VirtualClock):
    """A clock that goes wrong by some seconds."""

    def __init__(self, right: VirtualClock, skew: float) -> None:
        super().__init__()
        self._right = right
        self._skew = timedelta(seconds=skew)

    def __call__(self) -> datetime:
        return self._right() + self._skew


class Process(Service):
    """One process of an installation, with gates around all that is outside it."""

    def __init__(self, world: "World", skew: float = 0) -> None:
        """`skew` says by how many seconds its clock is ahead."""
        self.world = world
        self.alive = True
        clock = SkewedClock(world.clock, skew)
        super().__init__(
            guardrail=GatedGuardrail(self),
            model=ScriptedLanguageModel(
                default=world.next_answer, clock=clock, sleep=lambda _: self.gate()
            ),
            storage=world.storage,
            clock=clock,
        )
        self.recover_turns = RecoverTurns(
            expired_turns=GatedExpiredTurns(self), take_turn=self.take_turn, clock=clock
        )
        self.relay_outbox = RelayOutbox(
            outbox=GatedOutbox(self),
            event_bus=GatedEventBus(self),
            clock=clock,
            random=lambda: 0.5,
        )

    def units_of_work(self, tenant_id: TenantId) -> UnitOfWork:
        return GatedUnitOfWork(self, tenant_id)

    async def gate(self) -> None:
        """Wait until the test lets the task through. Raises Died where the process did not live."""
        self.require_alive()
        await _RUNNING.get().wait_here()
        self.require_alive()

    def require_alive(self) -> None:
        if not self.alive:
            raise Died


class GatedGuardrail(ScriptedGuardrail):
    """Allows everything."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    async def screen(self, passage: Passage) -> Verdict:
        await self._process.gate()
        return await super().screen(passage)


class GatedUnitOfWork(InMemoryUnitOfWork):
    """Has a gate before it is entered, before it commits, and after."""

    def __init__(self, process: Process, tenant_id: TenantId) -> None:
        super().__init__(process.storage, tenant_id)
        self._process = process

    async def __aenter__(self) -> Self:
        await self._process.gate()
        return await super().__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.require_alive()
        await super().__aexit__(exc_type, exc, traceback)

    async def commit(self) -> None:
        await self._process.gate()
        await self._process.world.commit(super().commit)
        await self._process.gate()


class GatedExpiredTurns(InMemoryExpiredTurns):
    """Has a gate before it looks."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.storage)
        self._process = process

    async def find(self, *, now: datetime, limit: int) -> tuple[ExpiredTurn, ...]:
        await self._process.gate()
        return await super().find(now=now, limit=limit)


class GatedOutbox(InMemoryOutbox):
    """Has a gate before it lends, and before it marks."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.storage)
        self._process = process

    async def take(self, *, limit: int, now: datetime, until: datetime) -> tuple[OutboxEntry, ...]:
        await self._process.gate()
        return await super().take(limit=limit, now=now, until=until)

    async def settle(
        self, *, published: Sequence[EventId], failed: Sequence[FailedEntry], now: datetime
    ) -> None:
        await self._process.gate()
        await super().settle(published=published, failed=failed, now=now)


class GatedEventBus(EventBus):
    """Has a gate before it hands over to the one bus that all processes have."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        await self._process.gate()
        return await self._process.world.bus.publish(events)

    async def check(self) -> None:
        await self._process.gate()


@dataclass
class World:
    """What outlives any process: storage, time, the bus, the provider, and what goes wrong next."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    storage: InMemoryStorage = field(default_factory=InMemoryStorage)
    bus: RecordingEventBus = field(default_factory=RecordingEventBus)
    answers: list[Answer] = field(default_factory=list)
    """What the model says next, before it goes on to answer well."""
    commits: list[str] = field(default_factory=list)
    """What becomes of the next commits: `lost`, `unknown` or `unknown but written`."""
    _replies: int = 0

    def __post_init__(self) -> None:
        self.loop = VirtualTime(self.clock)
        self.running: list[Running] = []

    def next_answer(self, _request: ModelRequest) -> Answer:
        """Say what is to come, or a reply like no other."""
        if self.answers:
            return self.answers.pop()
        self._replies += 1
        return ScriptedReply(parts=(Text(text=f"Resposta {self._replies}. É isso."),))

    async def commit(self, commit: Commit) -> None:
        trouble = self.commits.pop() if self.commits else ""
        if trouble == "lost":
            raise StorageUnavailable("the database does not answer")
        if trouble == "unknown":
            raise CommitUnknown("the connection broke while committing")
        await commit()
        if trouble:
            raise CommitUnknown("the connection broke while committing")

    def begin(self, process: Process, work: Coroutine[Any, Any, None], gates: int) -> None:
        """Have a process do something; it passes as many gates and stops at the next."""

        async def start() -> Running:
            return Running(process, work)

        running = self.loop.run_until_complete(start())
        self.running.append(running)
        self._come_to_rest()
        self.let_through(running, gates)

    def let_through(self, running: Running, gates: int) -> None:
        """Let a task go on to the next gate, or as many further."""
        for _ in range(gates):
            if running.is_over:
                break
            running.let_through()
            self._come_to_rest()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self._come_to_rest()

    def kill(self, process: Process) -> None:
        process.alive = False
        self._come_to_rest()

    def finish(self) -> None:
        """Let all go on to their end, in turns; who waits for time gets it."""
        while waiting := [running for running in self.running if not running.is_over]:
            for running in waiting:
                self.let_through(running, 1)
            self.clock.advance(0.1)
        self._come_to_rest()

    def close(self) -> None:
        """End what is left of the tasks, as nobody sees it."""
        for running in self.running:
            running.process.alive = False
            running.task.cancel()
        ended = (running.task for running in self.running)

        async def end() -> Sequence[object]:
            return await asyncio.gather(*ended, return_exceptions=True)

        self.loop.run_until_complete(end())
        self.loop.close()

    def _come_to_rest(self) -> None:
        async def rest() -> None:
            for turn in range(ROUNDS_AT_MOST):
                await asyncio.sleep(0)
                if turn >= ROUNDS_AT_LEAST and all(
                    running.rests or running.is_over for running in self.running
                ):
                    break

        self.loop.run_until_complete(rest())
        self._raise_what_nobody_expected()

    def _raise_what_nobody_expected(self) -> None:
        for running in self.running:
            task = running.task
            error = task.exception() if task.done() and not task.cancelled() else None
            if error is not None and not isinstance(error, Died):
                raise error
        self.running = [running for running in self.running if not running.task.done()]
