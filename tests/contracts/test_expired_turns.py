"""Every adapter of ExpiredTurns keeps the contract."""

from functools import partial

import pytest

from prosa.adapters.in_memory.expired_turns import InMemoryExpiredTurns
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.expired_turns import SqlExpiredTurns
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.expired_turns import ExpiredTurns
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.testing.expired_turns_contract import ExpiredTurnsContract


class TestInMemory(ExpiredTurnsContract):
    @pytest.fixture
    def storage(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def units_of_work(self, storage: InMemoryStorage) -> UnitOfWorkFactory:
        return partial(InMemoryUnitOfWork, storage)

    @pytest.fixture
    def expired_turns(self, storage: InMemoryStorage) -> ExpiredTurns:
        return InMemoryExpiredTurns(storage)


class TestSqlite(ExpiredTurnsContract):
    @pytest.fixture
    def units_of_work(self, sqlite: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, sqlite)

    @pytest.fixture
    def expired_turns(self, sqlite: Database) -> ExpiredTurns:
        return SqlExpiredTurns(sqlite)


class TestPostgres(ExpiredTurnsContract):
    @pytest.fixture
    def units_of_work(self, postgres: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, postgres)

    @pytest.fixture
    def expired_turns(self, postgres: Database) -> ExpiredTurns:
        return SqlExpiredTurns(postgres)
