"""What is asked in one round of the event loop, answered together.

A statement costs much the same for one of its kind as for ten, on both sides of the network. Where
nothing else goes on, a group is of one, and waits for nobody (decision 34).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

MOST_TOGETHER = 32
"""How many are answered together at most."""

Q = TypeVar("Q")
A = TypeVar("A")

Answer = Callable[[Sequence[Q]], Awaitable[Sequence[A]]]
"""Answers questions in their order, or raises what all of them are told."""


class Gathering(Generic[Q, A]):
    """Gathers questions and has each group of them answered at once."""

    def __init__(self, answer: Answer[Q, A]) -> None:
        self._answer = answer
        self._open: _Group[Q, A] | None = None

    async def ask(self, question: Q) -> A:
        """Wait for the answer. What nobody of a group waits for any more is cancelled."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        group = self._joined(loop)
        group.asked.append((question, answer))
        try:
            return await answer
        except asyncio.CancelledError:
            group.cancel_unless_wanted()
            raise

    def _joined(self, loop: asyncio.AbstractEventLoop) -> "_Group[Q, A]":
        """Give the group of this round, which begins when the round is over."""
        group = self._open
        if group is None or len(group.asked) == MOST_TOGETHER:
            group = self._open = _Group()
            loop.call_soon(self._begin, group, loop)
        return group

    def _begin(self, group: "_Group[Q, A]", loop: asyncio.AbstractEventLoop) -> None:
        if self._open is group:
            self._open = None
        # In a context of its own: what happens meanwhile is of no one request.
        group.answering = loop.create_task(self._answered(group), context=Context())

    async def _answered(self, group: "_Group[Q, A]") -> None:
        asked = [(question, answer) for question, answer in group.asked if not answer.done()]
        if not asked:
            return
        try:
            found = await self._answer([question for question, _ in asked])
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are told
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), one in zip(asked, found, strict=True):
            if not answer.done():
                answer.set_result(one)


@dataclass(slots=True, eq=False)
class _Group(Generic[Q, A]):
    """What is asked together, and who waits for it."""

    asked: list[tuple[Q, asyncio.Future[A]]] = field(default_factory=list)
    answering: asyncio.Task[None] | None = None

    def cancel_unless_wanted(self) -> None:
        """Cancel the answer where nobody waits for it any more."""
        if self.answering is not None and all(answer.done() for _, answer in self.asked):
            self.answering.cancel()
