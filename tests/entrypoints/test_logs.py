"""The log: one line an event, whatever is in it, and to which trace and turn it belongs."""

import json
import logging
import logging.config
from collections.abc import Iterator

import pytest

from prosa.adapters.log_context import TRACE_ID, TURN_ID
from prosa.entrypoints.logs import JsonLines, TextLines, log_configuration, set_up_logging
from prosa.settings import Settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HOSTILE = 'a\n{"level": "ERROR"}\r\x1b[2Jb\x00\x7f\x85\u2028c'


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, prosa = logging.getLogger(), logging.getLogger("prosa")
    before = (root.level, root.handlers[:], prosa.level)
    yield
    root.setLevel(before[0])
    root.handlers[:] = before[1]
    prosa.setLevel(before[2])


@pytest.fixture(autouse=True)
def no_context() -> Iterator[None]:
    trace, turn = TRACE_ID.set(None), TURN_ID.set(None)
    yield
    TRACE_ID.reset(trace)
    TURN_ID.reset(turn)


def settings(log_format: str) -> Settings:
    return Settings(log_format=log_format, log_level="INFO")


def logged(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.split("\n")[:-1]


def test_json_is_one_object_a_line_whatever_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(settings("json"))
    logging.getLogger("prosa.part").warning("told: %s", HOSTILE)
    (line,) = logged(capsys)
    assert line.isascii()
    assert line.isprintable()
    event = json.loads(line)
    assert event.pop("time").endswith("+00:00")
    assert event == {"level": "WARNING", "logger": "prosa.part", "message": f"told: {HOSTILE}"}


def test_json_says_to_which_trace_and_turn_an_event_belongs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logging(settings("json"))
    TRACE_ID.set(TRACE)
    TURN_ID.set("turn_1")
    logging.getLogger("prosa").info("x")
    (line,) = logged(capsys)
    assert json.loads(line)["trace_id"] == TRACE
    assert json.loads(line)["turn_id"] == "turn_1"


def test_of_an_exception_json_says_the_class_and_the_lines_of_code_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logging(settings("json"))
    try:
        int("card 4111")
    except ValueError:
        logging.getLogger("prosa").exception("it failed")
    (line,) = logged(capsys)
    event = json.loads(line)
    assert event["error"] == "ValueError"
    assert "test_logs.py" in event["stack"]
    assert "4111" not in event["message"]


def test_text_cannot_pass_for_another_event(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(settings("text"))
    logging.getLogger("prosa").warning("told: %s", HOSTILE)
    first, second = logged(capsys)
    assert first.endswith("WARNING prosa: told: a")
    assert second == '    {"level": "ERROR"}\\r\\x1b[2Jb\\x00\\x7f\\x85\\u2028c'


@pytest.mark.parametrize(
    ("environment", "formatter"),
    [("development", TextLines), ("staging", JsonLines), ("production", JsonLines)],
)
def test_people_read_the_log_in_development_and_programs_elsewhere(
    environment: str, formatter: type[logging.Formatter]
) -> None:
    chosen = Settings(
        environment=environment,
        database_url="postgresql+asyncpg://u@h/shop",
        auth="none",
        log_level="INFO",
    )
    described = log_configuration(chosen)
    name = described["handlers"]["stderr"]["formatter"]
    assert described["formatters"][name]["()"] is formatter
