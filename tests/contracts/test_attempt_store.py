"""Every attempt store keeps the contract."""

from functools import partial

import pytest

from prosa.adapters.in_memory.attempt_store import InMemoryAttemptStore
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.adapters.sql.attempt_store import SqlAttemptStore
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.attempt_store import AttemptStore
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.testing.attempt_store_contract import AttemptStoreContract


class TestInMemory(AttemptStoreContract):
    @pytest.fixture
    def storage(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def units_of_work(self, storage: InMemoryStorage) -> UnitOfWorkFactory:
        return partial(InMemoryUnitOfWork, storage)

    @pytest.fixture
    def attempts(self, storage: InMemoryStorage) -> AttemptStore:
        return InMemoryAttemptStore(storage)


class TestSqlite(AttemptStoreContract):
    @pytest.fixture
    def units_of_work(self, sqlite: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, sqlite)

    @pytest.fixture
    def attempts(self, sqlite: Database) -> AttemptStore:
        return SqlAttemptStore(sqlite)


class TestPostgres(AttemptStoreContract):
    @pytest.fixture
    def units_of_work(self, postgres: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, postgres)

    @pytest.fixture
    def attempts(self, postgres: Database) -> AttemptStore:
        return SqlAttemptStore(postgres)
