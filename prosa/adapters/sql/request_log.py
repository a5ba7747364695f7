"""Claimed idempotency keys in their table, within a unit of work."""

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.row_mapping import as_instant, request_row
from prosa.adapters.sql.saving import Rows, Write
from prosa.application.ports.request_log import LoggedRequest, RequestKey, RequestLog
from prosa.domain.identifiers import ConversationId, TenantId


class SqlRequestLog(RequestLog):
    """Finds at once; claims with the unit of work's save."""

    def __init__(self, database: Database, tenant_id: TenantId) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._pending: list[LoggedRequest] = []

    async def find(self, key: RequestKey) -> LoggedRequest | None:
        """Look the key up."""
        statement = compiled(self._database.dialect, "requests.find")
        values = statement.values(
            tenant_id=self._tenant_id,
            caller=key.caller,
            operation=key.operation,
            request_key=key.key,
        )
        async with self._database.lending() as connection:
            rows = await connection.fetch(statement.sql, values)
        if not rows:
            return None
        fingerprint, resource_id, created_at = rows[0]
        return LoggedRequest(
            key=key,
            fingerprint=fingerprint,
            resource_id=ConversationId(resource_id),
            created_at=as_instant(created_at),
        )

    def add(self, request: LoggedRequest) -> None:
        """Claim the key at commit."""
        self._pending.append(request)

    def rows(self) -> Rows:
        """List what there is to write."""
        claims = [
            request_row(one, self._tenant_id, self._database.dialect) for one in self._pending
        ]
        return {Write.CLAIM_KEY: claims} if claims else {}
