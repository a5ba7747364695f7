"""Every conversation reader keeps the contract."""

from functools import partial

import pytest

from prosa.adapters.in_memory.conversation_reader import InMemoryConversationReader
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.adapters.sql.conversation_reader import SqlConversationReader
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.testing.conversation_reader_contract import ConversationReaderContract


class TestInMemory(ConversationReaderContract):
    @pytest.fixture
    def storage(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def units_of_work(self, storage: InMemoryStorage) -> UnitOfWorkFactory:
        return partial(InMemoryUnitOfWork, storage)

    @pytest.fixture
    def reader(self, storage: InMemoryStorage) -> ConversationReader:
        return InMemoryConversationReader(storage)


class TestSqlite(ConversationReaderContract):
    @pytest.fixture
    def units_of_work(self, sqlite: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, sqlite)

    @pytest.fixture
    def reader(self, sqlite: Database) -> ConversationReader:
        return SqlConversationReader(sqlite)


class TestPostgres(ConversationReaderContract):
    @pytest.fixture
    def units_of_work(self, postgres: Database) -> UnitOfWorkFactory:
        return partial(SqlUnitOfWork, postgres)

    @pytest.fixture
    def reader(self, postgres: Database) -> ConversationReader:
        return SqlConversationReader(postgres)
