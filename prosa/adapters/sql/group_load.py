"""Loads on Postgres: what several units of work load at a time is loaded together."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from operator import itemgetter

import orjson

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.dialect import POSTGRES, Json
from prosa.adapters.sql.gathering import Gathering
from prosa.adapters.sql.row_arrays import array_of, objects_of
from prosa.domain.identifiers import ConversationId, TenantId

_AskedFor = tuple[TenantId, ConversationId, int]
"""A conversation, and how much of its history."""


class GroupLoad:
    """Loads conversations in groups, each as one JSON array."""

    def __init__(self, lending: Callable[[], AbstractAsyncContextManager[SqlConnection]]) -> None:
        self._lending = lending
        self._gathering = Gathering(self._load)

    async def load(
        self, tenant_id: TenantId, conversation_id: ConversationId, history: int
    ) -> Json | None:
        """Load the header's columns, the turn that runs, and the newest `history` messages.

        Raises StorageUnavailable.
        """
        return await self._gathering.ask((tenant_id, conversation_id, history))

    async def _load(self, asked_for: Sequence[_AskedFor]) -> Sequence[Json | None]:
        statement = compiled(POSTGRES, "loading.of_array")
        rows = [(place, *one) for place, one in enumerate(asked_for)]
        values = statement.values(asked_for=array_of([objects_of(rows)]))
        async with self._lending() as connection:
            found = sorted(await connection.fetch(statement.sql, values), key=itemgetter(0))
        return [text and orjson.loads(text) for _, text in found]
