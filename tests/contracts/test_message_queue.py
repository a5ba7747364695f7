"""Every message queue keeps the contract."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from prosa.adapters.in_memory.message_queue import InMemoryMessageQueue
from prosa.adapters.sqs.message_queue import SqsMessageQueue
from prosa.application.ports.message_queue import MessageQueue
from prosa.testing.builders import VirtualClock
from prosa.testing.message_queue_contract import MessageQueueContract
from tests.sqs import a_queue


class TestInMemory(MessageQueueContract):
    @pytest.fixture
    def queue(self) -> MessageQueue:
        return InMemoryMessageQueue(clock=VirtualClock())


@pytest.mark.usefixtures("aws")
class TestSqs(MessageQueueContract):
    """Against moto's server."""

    @pytest.fixture
    def queue(self) -> Iterator[MessageQueue]:
        with closing(SqsMessageQueue(a_queue(), visibility_seconds=300, wait_seconds=0)) as queue:
            yield queue
