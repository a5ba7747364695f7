"""Every outbox keeps the contract."""

from functools import partial

import pytest

from prosa.adapters.in_memory.outbox import InMemoryOutbox
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.outbox import SqlOutbox
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.outbox import Outbox
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.testing.outbox_contract import OutboxContract


class TestInMemory(OutboxContract):
    @pytest.fixture
    def storage(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def units_of_work(self, storage: InMemoryStorage) -> UnitOfWorkFactory:
        return partial(InMemoryUnitOfWork, storage)

    @pytest.fixture
    def outbox(self, storage: InMemoryStorage) -> Outbox:
        return InMemoryOutbox(storage)


class TestSqlite(OutboxContract):
    @pytest.fixture
    def units_of_work(self, sqlite: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, sqlite)

    @pytest.fixture
    def outbox(self, sqlite: Database) -> Outbox:
        return SqlOutbox(sqlite)


class TestPostgres(OutboxContract):
    @pytest.fixture
    def units_of_work(self, postgres: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, postgres)

    @pytest.fixture
    async def outbox(self, postgres: Database) -> Outbox:
        async with postgres.lending() as connection:
            await connection.fetch("truncate outbox", ())  # other tests leave their events
        return SqlOutbox(postgres)
