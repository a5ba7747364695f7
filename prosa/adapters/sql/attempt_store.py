"""Attempts in their table, between two steps that do not share a process."""

from dataclasses import replace

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.loading import history_from, turn_from
from prosa.adapters.sql.row_mapping import HEADER_COLUMNS, attempt_row, found_of, header_of
from prosa.adapters.sql.saving import Write
from prosa.application.ports.attempt_store import AttemptStore
from prosa.domain.conversation import Conversation
from prosa.domain.errors import StaleAttempt, TurnNotFound
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.turn import Attempt, TurnStatus


class SqlAttemptStore(AttemptStore):
    """Loads an attempt by one statement and saves it by one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(
        self, tenant_id: TenantId, turn_id: TurnId, number: int, *, history: int
    ) -> Attempt:
        """Put the turn, what was saved, and the conversation's history together."""
        statement = compiled(self._database.dialect, "attempts.get")
        values = statement.values(
            tenant_id=tenant_id, turn_id=turn_id, number=number, history=history
        )
        async with self._database.lending() as connection:
            rows = await connection.fetch(statement.sql, values)
        if not rows:
            raise TurnNotFound(turn_id)
        row = rows[0]
        turn = turn_from(row[HEADER_COLUMNS + 2 :])
        if turn.status is not TurnStatus.RUNNING or turn.attempt != number:
            raise StaleAttempt(turn_id, number)
        conversation = Conversation.restore(
            header_of(row), turns=[turn], history=history_from(row[HEADER_COLUMNS + 1])
        )
        return replace(conversation.attempt_at(turn), **found_of(row[HEADER_COLUMNS]))

    async def save(self, attempt: Attempt) -> None:
        """Insert the row or change it."""
        row = attempt_row(attempt, self._database.dialect)
        await self._database.save({Write.KEEP_ATTEMPTS: [row]})
