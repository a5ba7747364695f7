"""What an opened application consists of, besides its use cases."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Says whether a part that the application needs can do its work now.

    `check` returns what is worth knowing, or None, and raises a ProsaError whose message says what
    is wrong.
    """

    name: str
    check: Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """What a process that serves does beside answering.

    `work` tells whether there may be more of it at once. It is done when the doorbell rings, and
    every so many seconds anyway.
    """

    name: str
    work: Callable[[], Awaitable[bool]]
    every_seconds: float
    doorbell: asyncio.Event = field(default_factory=asyncio.Event)
    at_end: bool = False
    """Whether to do what is left before the process ends."""
