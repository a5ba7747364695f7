"""Every unit of work keeps the contract."""

from functools import partial

import pytest

from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.testing.unit_of_work_contract import UnitOfWorkContract


class TestInMemory(UnitOfWorkContract):
    @pytest.fixture
    def units_of_work(self) -> UnitOfWorkFactory:
        return partial(InMemoryUnitOfWork, InMemoryStorage())


class TestSqlite(UnitOfWorkContract):
    @pytest.fixture
    def units_of_work(self, sqlite: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, sqlite)


class TestPostgres(UnitOfWorkContract):
    @pytest.fixture
    def units_of_work(self, postgres: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, postgres)
