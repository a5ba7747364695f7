"""Reads for display from the tables: one statement each, no lock."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, select

from prosa.adapters.sql.database import Database
from prosa.adapters.sql.dialect import Value, compiled
from prosa.adapters.sql.loading import behind_tenant, messages_of_turn, turn_from
from prosa.adapters.sql.row_mapping import header_of, message_of
from prosa.adapters.sql.tables import conversations, messages, turns
from prosa.application.ports.conversation_reader import (
    ConversationFilter,
    ConversationReader,
    Page,
)
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.errors import ConversationNotFound, TurnNotFound
from prosa.domain.identifiers import ConversationId, MessageId, TenantId, TurnId
from prosa.domain.message import Message
from prosa.domain.turn import Turn

T = TypeVar("T")


class SqlConversationReader(ConversationReader):
    """Reads what is committed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_conversation(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> ConversationHeader:
        """Select the header."""
        rows = await self._rows(_CONVERSATION, tenant_id=tenant_id, conversation_id=conversation_id)
        if not rows:
            raise ConversationNotFound(conversation_id)
        return header_of(rows[0])

    async def get_turn(self, tenant_id: TenantId, turn_id: TurnId) -> Turn:
        """Select the turn joined to its messages."""
        rows = await self._rows(_TURN, tenant_id=tenant_id, turn_id=turn_id)
        if not rows:
            raise TurnNotFound(turn_id)
        return turn_from(rows[0])

    async def list_conversations(
        self,
        tenant_id: TenantId,
        matching: ConversationFilter,
        *,
        limit: int,
        after: ConversationId | None,
        ascending: bool,
    ) -> Page[ConversationHeader]:
        """Select by identifier, which is by start, and one more than asked."""
        wanted: dict[str, Value] = {
            "status": matching.status and matching.status.value,
            "owner": matching.owner and matching.owner.value,
            "customer_id": matching.customer_id,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        rows = await self._rows(
            _conversations(tuple(given), after is not None, ascending),
            tenant_id=tenant_id,
            after=after,
            limit=limit + 1,
            **given,
        )
        return _page([header_of(row) for row in rows], limit)

    async def list_messages(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        limit: int,
        after: MessageId | None,
        ascending: bool,
    ) -> Page[Message]:
        """Select by sequence, and one more than asked."""
        rows = await self._rows(
            _messages(after is not None, ascending),
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            after=after,
            limit=limit + 1,
        )
        if not rows:
            await self.get_conversation(tenant_id, conversation_id)
        return _page([message_of(row) for row in rows], limit)

    async def _rows(self, select_: Select[Any], **values: Value) -> Sequence[Sequence[Any]]:
        statement = compiled(select_, self._database.dialect)
        async with self._database.lending() as connection:
            return await connection.fetch(statement.sql, statement.values(**values))


def _page(items: list[T], limit: int) -> Page[T]:
    return Page(items=tuple(items[:limit]), has_more=len(items) > limit)


_CONVERSATION = select(conversations).where(
    conversations.c.tenant_id == bindparam("tenant_id"),
    conversations.c.id == bindparam("conversation_id"),
)

_TURN = select(*behind_tenant(turns), *messages_of_turn()).where(
    turns.c.tenant_id == bindparam("tenant_id"), turns.c.id == bindparam("turn_id")
)


@lru_cache
def _conversations(criteria: tuple[str, ...], behind: bool, ascending: bool) -> Select[Any]:  # noqa: FBT001  a cache key is positional
    """Select conversations that meet the criteria, each compared with the value of its name."""
    columns = conversations.c
    found = select(conversations).where(
        columns.tenant_id == bindparam("tenant_id"),
        *(columns[name] == bindparam(name) for name in criteria),
    )
    if behind:
        found = found.where(_behind(columns.id, bindparam("after"), ascending=ascending))
    return _ordered(found, columns.id, ascending=ascending)


@lru_cache
def _messages(behind: bool, ascending: bool) -> Select[Any]:  # noqa: FBT001  a cache key is positional
    """Select messages of a conversation, behind the one named `after` where there is one."""
    columns = messages.c
    found = select(*behind_tenant(messages)).where(
        columns.tenant_id == bindparam("tenant_id"),
        columns.conversation_id == bindparam("conversation_id"),
    )
    if behind:
        named = messages.alias("named")
        place = (
            select(named.c.sequence)
            .where(
                named.c.tenant_id == bindparam("tenant_id"),
                named.c.conversation_id == bindparam("conversation_id"),
                named.c.id == bindparam("after"),
            )
            .scalar_subquery()
        )
        found = found.where(_behind(columns.sequence, place, ascending=ascending))
    return _ordered(found, columns.sequence, ascending=ascending)


def _behind(
    column: ColumnElement[Any], place: ColumnElement[Any], *, ascending: bool
) -> ColumnElement[bool]:
    return column > place if ascending else column < place


def _ordered(found: Select[Any], column: ColumnElement[Any], *, ascending: bool) -> Select[Any]:
    return found.order_by(column if ascending else column.desc()).limit(bindparam("limit"))
