"""Cuts a reply into pieces, has each screened by the guardrail, and releases what may pass."""

from collections.abc import Awaitable, Callable
from typing import assert_never

from prosa.application.ports.guardrail import Guardrail, Passage
from prosa.domain.identifiers import TenantId
from prosa.domain.sentences import SentenceSplitter
from prosa.domain.verdict import Allowed, Blocked, Direction, Finding, Redacted, findings_of

OnPiece = Callable[[str], Awaitable[None]]
"""Called with each released piece of a reply, in order; the pieces joined are the reply's text."""


class ReplyBlockedError(Exception):
    """The guardrail blocked a piece: ends the model's call from within, and goes no further."""


class ReplyScreen:
    """Takes a reply's text as it is produced; what it has released is what the customer reads."""

    def __init__(self, guardrail: Guardrail, tenant_id: TenantId, on_piece: OnPiece | None) -> None:
        self._guardrail = guardrail
        self._tenant_id = tenant_id
        self._on_piece = on_piece
        self._splitter = SentenceSplitter()
        self._released: list[str] = []
        self.findings: tuple[Finding, ...] = ()

    @property
    def text(self) -> str:
        """All that was released so far."""
        return "".join(self._released)

    async def push(self, text: str) -> None:
        """Take more of the reply and release the pieces that are complete.

        Raises ReplyBlockedError at the first piece that may not pass.
        """
        for piece in self._splitter.push(text):
            await self._screen(piece)

    async def finish(self, text: str = "") -> None:
        """Take the end of the reply and release all that is left. Raises ReplyBlockedError."""
        for piece in (*self._splitter.push(text), *self._splitter.finish()):
            await self._screen(piece)

    async def release(self, piece: str) -> None:
        """Release a piece that needs no screening."""
        self._released.append(piece)
        if self._on_piece is not None:
            await self._on_piece(piece)

    async def _screen(self, piece: str) -> None:
        passage = Passage(tenant_id=self._tenant_id, direction=Direction.OUTBOUND, text=piece)
        verdict = await self._guardrail.screen(passage)
        self.findings += findings_of(verdict, Direction.OUTBOUND)
        match verdict:
            case Allowed():
                await self.release(piece)
            case Redacted(text=text):
                await self.release(text)
            case Blocked():
                raise ReplyBlockedError
            case _:
                assert_never(verdict)
