"""`prosa consume` and `prosa redrive`: from a channel's queue to the queue of replies, and back."""

import json
import re
import signal
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from embedded_aws.moto_server import REGION, own_client
from tests.channels import pushed
from tests.entrypoints.cli.running import SECONDS, CommandLine, Main
from tests.sqs import a_queue, push, queues, waiting

NO_DEAD_LETTERS = "has no dead-letter queue; give it a redrive policy"


@pytest.fixture
def queue(
    aws: None,  # noqa: ARG001 - where the queues are
    main: Main,  # noqa: ARG001 - clears what is set
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Make the queues, and have commands use them."""
    caplog.set_level("ERROR", logger="werkzeug")  # moto's, which is in this process
    url, _ = queues()
    monkeypatch.setenv("PROSA_INBOUND_QUEUE", url)
    monkeypatch.setenv("PROSA_REPLY_QUEUE", a_queue("replies"))
    return url


def of_the_same_account(url: str, name: str) -> str:
    """Give the URL of another queue."""
    return url.replace("messages.fifo", f"{name}.fifo")


def test_once_it_takes_everything_and_says_how_much(main: Main, queue: str) -> None:
    for key in "abc":
        push(queue, pushed(key, key=key))
    ended = main("consume", "--once")
    assert (ended.code, ended.out, ended.err) == (0, "Consumed 3 messages.\n", "")
    replies = [json.loads(one["Body"]) for one in waiting(of_the_same_account(queue, "replies"))]
    assert [reply["data"]["channel"] for reply in replies] == ["whatsapp"] * 3
    again = main("consume", "--once")
    assert (again.code, again.out) == (0, "No message was due.\n")


def test_a_message_that_was_taken_before_sends_no_second_reply(main: Main, queue: str) -> None:
    for deduplication_id in ("1", "2"):
        push(queue, pushed(), deduplication_id=deduplication_id)
    assert main("consume", "--once").out == "Consumed 2 messages.\n"
    assert len(waiting(of_the_same_account(queue, "replies"))) == 1


def test_what_is_refused_ends_as_a_dead_letter_and_is_an_exit_code(main: Main, queue: str) -> None:
    push(queue, pushed("a", key="a"))
    push(queue, '{"text": "meu segredo"}')
    push(queue, pushed("b", key="b"))
    ended = main("consume", "--once", "--json")
    assert ended.code == 1
    assert json.loads(ended.out)["consumed"] == 2
    assert re.search(r"ERROR .*: message \S+, received 1 time, is refused", ended.err)
    assert "segredo" not in ended.err
    assert [one["Body"] for one in waiting(of_the_same_account(queue, "dead"))] == [
        '{"text": "meu segredo"}'
    ]


def test_dead_letters_are_counted_and_moved_back(main: Main, queue: str) -> None:
    for key in "abc":
        push(of_the_same_account(queue, "dead"), pushed(key, key=key))
    dry = main("redrive", "--dry-run")
    assert (dry.code, dry.out) == (0, "In the dead-letter queue: about 3 messages.\n")
    some = main("redrive", "--limit", "1")
    assert some.out == ("Moved 1 message back; left in the dead-letter queue: about 2 messages.\n")
    assert json.loads(main("redrive", "--json").out) == {"moved": 2, "left": 0}
    assert main("redrive", "--dry-run").out == "In the dead-letter queue: nothing.\n"
    assert json.loads(main("redrive", "--json").out) == {"moved": 0, "left": 0}
    assert main("consume", "--once").out == "Consumed 3 messages.\n"


@pytest.mark.parametrize("command", ["consume", "redrive"])
class TestSetUp:
    def test_without_a_queue_it_says_what_to_set(self, main: Main, command: str) -> None:
        ended = main(command)
        assert ended.code == 1
        assert ended.err == "prosa: set PROSA_INBOUND_QUEUE to the URL of an SQS FIFO queue\n"

    @pytest.mark.usefixtures("aws")
    def test_a_queue_without_dead_letters_is_refused(
        self, main: Main, command: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PROSA_INBOUND_QUEUE", a_queue())
        ended = main(command)
        assert ended.code == 1
        assert ended.err.endswith(f"/messages.fifo {NO_DEAD_LETTERS}\n")

    def test_a_queue_that_is_not_there_is_one_sentence(
        self, main: Main, command: str, queue: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PROSA_INBOUND_QUEUE", of_the_same_account(queue, "gone"))
        ended = main(command)
        assert ended.code == 1
        assert ended.err.startswith("prosa: SQS has no such thing in this account and region:")


@pytest.fixture
def variables(queue: str, moto_address: str) -> dict[str, str]:
    """Give what a process of its own needs to find the queue."""
    return {
        "PROSA_INBOUND_QUEUE": queue,
        "AWS_ENDPOINT_URL": moto_address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "PYTHONUNBUFFERED": "1",
    }


def test_it_consumes_until_it_is_told_to_stop_and_relays_its_events(
    prosa: CommandLine, queue: str, variables: dict[str, str]
) -> None:
    with prosa.started("consume", **variables) as consuming:
        assert consuming.stdout is not None
        assert consuming.stdout.readline() == f"Consuming messages of {queue}; Ctrl-C ends it.\n"
        push(queue, pushed())
        empty_by(queue, SECONDS)
        consuming.send_signal(signal.SIGTERM)
        told, logged = consuming.communicate(timeout=SECONDS)
    assert (consuming.returncode, told) == (0, "Consumed 1 message.\n")
    assert '"type":"conversation.turn.completed.v1"' in logged
    assert not re.search("WARNING|ERROR", logged)


def test_told_twice_to_stop_it_breaks_off_what_runs_and_the_message_stays(
    prosa: CommandLine, queue: str, variables: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        silent_model = {"PROSA_MODELS": "openai:silent", "PROSA_OPENAI_BASE_URL": url}
        push(queue, pushed())
        with prosa.started("consume", **{**variables, **silent_model}) as consuming:
            asking, _ = silent.accept()
            for _ in range(2):
                consuming.send_signal(signal.SIGINT)
                time.sleep(1)  # two at once may be one
            consuming.communicate(timeout=SECONDS)
            asking.close()
    assert consuming.returncode == 0
    with closing(sqlite3.connect(tmp_path / "prosa.db")) as database:
        found = database.execute("select status, error_code from turns").fetchall()
    assert found == [("failed", "interrupted")]
    assert number_left(queue) == 1


def empty_by(url: str, seconds: float) -> None:
    """Wait until a queue has nothing left."""
    end = time.monotonic() + seconds
    while number_left(url):
        assert time.monotonic() < end, "the queue was not emptied in time"
        time.sleep(0.1)


def number_left(url: str) -> int:
    """Count what a queue has, on loan or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    with own_client("sqs") as sqs:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(count) for count in found.values())
