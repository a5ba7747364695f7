"""Every delivery ledger keeps the contract."""

import pytest

from prosa.adapters.in_memory.delivery_ledger import InMemoryDeliveryLedger
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.delivery_ledger import SqlDeliveryLedger
from prosa.application.ports.delivery_ledger import DeliveryLedger
from prosa.testing.delivery_ledger_contract import DeliveryLedgerContract


class TestInMemory(DeliveryLedgerContract):
    @pytest.fixture
    def ledger(self) -> DeliveryLedger:
        return InMemoryDeliveryLedger()


class TestSqlite(DeliveryLedgerContract):
    @pytest.fixture
    def ledger(self, sqlite: Database) -> DeliveryLedger:
        return SqlDeliveryLedger(sqlite)


class TestPostgres(DeliveryLedgerContract):
    @pytest.fixture
    def ledger(self, postgres: Database) -> DeliveryLedger:
        return SqlDeliveryLedger(postgres)
