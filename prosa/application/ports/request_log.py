"""Which idempotency keys were claimed, and for what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from prosa.domain.identifiers import ConversationId, TurnId


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """An idempotency key in its scope: who sent it, and to do what."""

    caller: str
    operation: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRequest:
    """A claimed key: the SHA-256 of the request (hexadecimal), and what it created."""

    key: RequestKey
    fingerprint: str
    resource_id: ConversationId | TurnId
    created_at: datetime


class RequestLog(Protocol):
    """The claimed keys of one tenant."""

    async def find(self, key: RequestKey) -> LoggedRequest | None:
        """Find what a key was claimed for."""

    def add(self, request: LoggedRequest) -> None:
        """Claim a key at commit, which raises KeyTaken where somebody was first."""
