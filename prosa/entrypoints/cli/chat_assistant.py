"""Whom a chat in the terminal talks with, wherever that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from prosa.domain.message import Role
from prosa.entrypoints.cli.terminal import Terminal

CHANNEL = "terminal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was said before, and by whom."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The end of a conversation, oldest first, and how many messages are before it."""

    said: Sequence[Said]
    earlier: int


class Assistant(Protocol):
    """One conversation with Prosa, which its first message starts.

    `conversation_id` is None until then. `name` says who answers, for people; `options` are those
    of `prosa chat` that lead here again. What fails raises ProsaError.
    """

    conversation_id: str | None
    name: str
    options: str

    def is_closed(self) -> bool:
        """Ask anew: somebody else may have closed it. One that cannot be read counts as open."""

    def past(self, limit: int) -> Past:
        """Read at most so many of the newest messages."""

    def answer(self, text: str, terminal: Terminal) -> bool:
        """Send a message and show the reply piece by piece; say whether there is one.

        Raises KeyboardInterrupt, too.
        """
