"""What is particular to SQS: its dead-letter queues, its limits, and its failures."""

import json
from collections.abc import AsyncIterator
from contextlib import closing

import pytest

from embedded_aws.loopback_server import CLOSE, HANG, LoopbackServer, Step, json_response, response
from prosa.adapters.aws_client import TimeLimits
from prosa.adapters.sqs.message_queue import LONGEST_PAUSE, SqsMessageQueue
from prosa.application.ports.message_queue import MessageQueueError
from prosa.testing.message_queue_contract import a_message
from tests.aws import aws_error, operation, running_stub
from tests.sqs import a_queue, push, queues, waiting

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/messages.fifo"
SECRET = "what the customer wrote"  # noqa: S105 - no password, but what no error may repeat
IMPATIENT = TimeLimits(read=0.3)
"""For answers that never come; whatever else comes late on a busy machine is still in time."""


@pytest.mark.usefixtures("aws")
class TestQueues:
    async def test_a_queue_knows_its_dead_letter_queue(self) -> None:
        url, dead_letters = queues()
        with closing(SqsMessageQueue(url)) as queue:
            assert await queue.find_dead_letter_queue() == dead_letters

    async def test_a_queue_without_one_says_so(self) -> None:
        with closing(SqsMessageQueue(a_queue())) as queue:
            assert await queue.find_dead_letter_queue() is None

    async def test_a_queue_that_is_not_there_is_named(self) -> None:
        url = a_queue().replace("messages", "gone")
        with (
            closing(SqsMessageQueue(url)) as queue,
            pytest.raises(MessageQueueError, match=r"no such thing.*the queue http.*gone\.fifo"),
        ):
            await queue.receive()

    async def test_a_message_is_sent_in_its_group_under_its_deduplication_id(self) -> None:
        url = a_queue()
        with closing(SqsMessageQueue(url)) as queue:
            await queue.send(a_message("Olá", group="conv_7"))
        (message,) = waiting(url)
        assert message["Attributes"]["MessageGroupId"] == "conv_7"
        assert message["Attributes"]["MessageDeduplicationId"] == "conv_7-Olá".encode().hex()

    async def test_without_a_time_of_its_own_the_queues_loan_counts(self) -> None:
        url = a_queue()
        push(url, "Olá")
        with closing(SqsMessageQueue(url, wait_seconds=0)) as queue:
            assert len(await queue.receive()) == 1
            assert len(await queue.receive()) == 0


@pytest.fixture
async def stub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopbackServer]:
    async with running_stub(monkeypatch) as stub:
        yield stub


async def test_a_receive_waits_for_messages_and_lends_them_for_as_long_as_it_is_told(
    stub: LoopbackServer,
) -> None:
    stub.will(json_response(200, {}))
    with closing(SqsMessageQueue(URL, visibility_seconds=299.5, wait_seconds=3)) as queue:
        assert list(await queue.receive(limit=4)) == []
    (asked,) = stub.requests
    assert operation(asked) == "ReceiveMessage"
    assert asked.body == {
        "QueueUrl": URL,
        "MaxNumberOfMessages": 4,
        "WaitTimeSeconds": 3,
        "VisibilityTimeout": 300,
        "MessageSystemAttributeNames": ["MessageGroupId", "ApproximateReceiveCount"],
    }


async def test_nothing_is_lent_or_put_back_for_longer_than_sqs_allows(stub: LoopbackServer) -> None:
    message = {"MessageId": "1", "ReceiptHandle": "r", "Body": "b"}
    stub.otherwise = lambda _: [json_response(200, {"Messages": [message]})]
    with closing(SqsMessageQueue(URL, visibility_seconds=50_000)) as queue:
        (received,) = await queue.receive()
        await queue.put_back(received, seconds=50_000)
    assert [asked.body["VisibilityTimeout"] for asked in stub.requests] == [LONGEST_PAUSE] * 2


async def test_in_a_queue_without_groups_each_message_is_one_of_its_own(
    stub: LoopbackServer,
) -> None:
    message = {"MessageId": "7", "ReceiptHandle": "r", "Body": "b"}
    stub.otherwise = lambda _: [json_response(200, {"Messages": [message]})]
    with closing(SqsMessageQueue(URL)) as queue:
        (received,) = await queue.receive()
    assert (received.group, received.receives) == ("7", 1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (aws_error(403, "AccessDeniedException", SECRET), "needs credentials, a region and perm"),
        (aws_error(400, "InvalidParameterValue", SECRET), "refused a request for"),
        (aws_error(400, "ThrottlingException", SECRET), "cannot be reached, or failed, for"),
        (aws_error(500, "InternalFailure", SECRET), "cannot be reached, or failed, for"),
        (response(200, SECRET.encode()), "did not say that the queue"),
        (json_response(200, {}), "did not say that the queue"),
        (HANG, "cannot be reached, or failed, for"),
        (CLOSE, "cannot be reached, or failed, for"),
    ],
)
async def test_what_goes_wrong_is_said_in_words_and_asked_once(
    stub: LoopbackServer, answer: Step, said: str
) -> None:
    stub.will(answer)
    with closing(SqsMessageQueue(URL, limits=IMPATIENT)) as queue:
        with pytest.raises(MessageQueueError, match=said) as failed:
            await queue.send(a_message(SECRET))
        assert failed.value.transient
        assert URL in str(failed.value)
        assert SECRET not in str(failed.value)
    assert len(stub.requests) == 1


async def test_a_dead_letter_queue_that_is_gone_is_named(stub: LoopbackServer) -> None:
    policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:1:dead.fifo"})
    stub.will(json_response(200, {"Attributes": {"RedrivePolicy": policy}}))
    stub.will(aws_error(400, "QueueDoesNotExist"))
    with (
        closing(SqsMessageQueue(URL)) as queue,
        pytest.raises(MessageQueueError, match=r"no such thing.*dead-letter queue dead\.fifo"),
    ):
        await queue.find_dead_letter_queue()
