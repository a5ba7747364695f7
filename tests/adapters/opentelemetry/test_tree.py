"""Traces on a terminal: trees that a person can read."""

import re

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.spans import Tracing, fail
from prosa.adapters.opentelemetry.tree import BAR_WIDTH, ShownTraces

MS = 1_000_000


class Screen:
    """What was shown, and a way to have something shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        # Nothing is shown before it is closed: no test waits.
        self.traces = ShownTraces(self.shown.append, wait_seconds=3600)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self.traces)
        self.tracer = provider.get_tracer("test")
        self.tracing = Tracing(self.tracer)

    def lines(self) -> list[str]:
        self.traces.shutdown()
        (text,) = self.shown
        assert text.endswith("\n")
        return text.splitlines()


def steps(lines: list[str]) -> list[str]:
    """Leave out the title, and of each line the figures and the bar."""
    return [re.split(r"\s{2,}\+", line)[0].rstrip() for line in lines[1:]]


def test_steps_are_drawn_below_the_step_that_they_belong_to() -> None:
    screen = Screen()
    with screen.tracing.begin("POST /v1/messages") as span:
        span.set_attribute(names.HTTP_STATUS, 200)
        with screen.tracing.step("accept"), screen.tracing.step("commit"):
            pass
        with screen.tracing.step("run") as run:
            run.set_attribute(names.TURN_OUTCOME, "completed")
    assert steps(screen.lines()) == [
        "POST /v1/messages  200",
        "├─ accept",
        "│  └─ commit",
        "└─ run  completed",
    ]


def test_each_line_says_when_it_began_how_long_it_took_and_where_in_the_whole() -> None:
    screen = Screen()
    root = screen.tracer.start_span("run", start_time=0)
    below = set_span_in_context(root)
    screen.tracer.start_span("half", below, start_time=1000 * MS).end(1500 * MS)
    screen.tracer.start_span("later", below, start_time=2001 * MS).end(2002 * MS)
    root.end(2000 * MS)
    title, *rows = screen.lines()[:4]
    assert title.startswith("trace ")
    assert re.search(r"\+0\.0   2,000\.0 ms  █{24}$", rows[0])
    assert re.search(r"\+1,000\.0     500\.0 ms   {12}█{6}$", rows[1])
    assert re.search(rf"\+2,001\.0       1\.0 ms   {{{BAR_WIDTH}}}→$", rows[2])
    assert len({row.index(" ms ") for row in rows}) == 1


def test_a_failure_says_of_what_and_passages_are_taken_together() -> None:
    screen = Screen()
    with screen.tracing.begin("generate"):
        for _ in range(3):
            with screen.tracing.step(names.SCREEN):
                pass
        with screen.tracing.step("chat gpt") as call:
            fail(call, "ModelTimedOut")
    assert steps(screen.lines()) == ["generate", "├─ screen x 3", "└─ chat gpt  ✗ ModelTimedOut"]


def test_nobodys_words_move_the_cursor() -> None:
    screen = Screen()
    with screen.tracing.begin("classify") as span:
        span.set_attribute(names.INTENT, "\x1b[2J\nintent")
    assert steps(screen.lines()) == ["classify  [2Jintent"]


def test_a_batch_of_events_is_left_to_the_traces_of_its_events() -> None:
    screen = Screen()
    with screen.tracing.begin(names.RELAY):
        pass
    screen.traces.shutdown()
    assert screen.shown == []
