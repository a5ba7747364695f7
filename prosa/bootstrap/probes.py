"""Probes of what AWS runs: each look is a request, so there is one now and then."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from prosa.application.ports.event_bus import EventBus
from prosa.application.ports.reply_outlet import ReplyOutlet
from prosa.application.ports.turn_runner import TurnRunner
from prosa.bootstrap.parts import Probe
from prosa.domain.errors import ProsaError
from prosa.settings import Settings

LOOK_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 5.0
"""How long what was right is taken to be so still, and what was wrong."""

PATIENCE_SECONDS = 1.0
"""How long a look may take."""


class RareLook:
    """Looks at a part once in a while, and in between says again what it saw."""

    def __init__(
        self, look: Callable[[], Awaitable[None]], *, timer: Callable[[], float] = time.monotonic
    ) -> None:
        """`timer` gives seconds that only grow."""
        self._look = look
        self._timer = timer
        self._wrong: ProsaError | None = None
        self._again_at = float("-inf")

    async def __call__(self) -> None:
        """Raise what is wrong with the part."""
        if self._timer() >= self._again_at:
            self._wrong = await self._what_is_wrong()
            pause = LOOK_AGAIN_SECONDS if self._wrong else LOOK_SECONDS
            self._again_at = self._timer() + pause
        if self._wrong is not None:
            raise self._wrong.with_traceback(None)

    async def _what_is_wrong(self) -> ProsaError | None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._look()
        except TimeoutError:
            return ProsaError("no answer yet")
        except ProsaError as error:
            return error
        return None


def probes_of_aws(
    settings: Settings,
    *,
    turn_runner: TurnRunner | None,
    event_bus: EventBus,
    reply_outlet: ReplyOutlet | None,
) -> tuple[Probe, ...]:
    """Probe what settings name of AWS.

    Without the state machine no turn can be started. Events and replies wait where they are stored:
    what is wrong there is told, and no reason to send no messages.
    """
    probes = []
    if turn_runner is not None:
        probes.append(Probe(name="state machine", check=RareLook(turn_runner.check)))
    if settings.event_bus.startswith("eventbridge"):
        probes.append(Probe(name="event bus", check=_only_telling(event_bus.check)))
    if reply_outlet is not None:
        probes.append(Probe(name="reply queue", check=_only_telling(reply_outlet.check)))
    return tuple(probes)


def _only_telling(look: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[str | None]]:
    rare_look = RareLook(look)

    async def tell() -> str | None:
        try:
            await rare_look()
        except ProsaError as error:
            return f"{error}; what is for it waits meanwhile"
        return None

    return tell
