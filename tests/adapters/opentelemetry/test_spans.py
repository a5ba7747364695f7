"""Spans in general: what is current when, what errors leave behind, which traces are kept."""

import ast
import asyncio
from pathlib import Path

import pytest
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    StatusCode,
    get_current_span,
    use_span,
)

import prosa.adapters.opentelemetry
from prosa.adapters.opentelemetry.sampling import TraceBudget
from prosa.adapters.opentelemetry.spans import Tracing, context_of, is_kept, traceparent_of
from tests.adapters.opentelemetry.seeing import Seen, attributes_of

FOLDER = Path(prosa.adapters.opentelemetry.__file__).parent
REMOTE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"


def tracing_within(budget: TraceBudget) -> tuple[Seen, Tracing]:
    seen = Seen()
    return seen, Tracing(seen.traces.get_tracer("test"), budget)


def test_nothing_that_makes_spans_is_a_generator() -> None:
    """A span that is current across a `yield` would be current for whoever iterates."""
    yields = (ast.Yield, ast.YieldFrom)
    generators = {
        f"{file.name}: {function.name}"
        for file in FOLDER.glob("*.py")
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(isinstance(node, yields) for node in ast.walk(function))
    }
    assert generators == {"tree.py: _lines"}  # it draws, and makes none


def test_a_span_is_current_in_its_block_and_no_longer(seen: Seen) -> None:
    with seen.telemetry.tracing.begin("outer") as outer:
        with seen.telemetry.tracing.step("inner") as inner:
            assert get_current_span() is inner
        assert get_current_span() is outer
    assert not is_kept()
    assert seen.tree() == ["outer", "outer > inner"]


def test_an_error_leaves_its_class_and_nothing_that_it_says(seen: Seen) -> None:
    with pytest.raises(ValueError, match="4111"), seen.telemetry.tracing.begin("step"):
        raise ValueError("card 4111 1111 1111 1111")
    span = seen.one("step")
    assert attributes_of(span) == {"error.type": "ValueError"}
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.events == ()


async def test_tasks_side_by_side_do_not_see_each_others_spans(seen: Seen) -> None:
    async def step(name: str) -> None:
        with seen.telemetry.tracing.step(name):
            await asyncio.sleep(0)

    with seen.telemetry.tracing.begin("root"):
        await asyncio.gather(step("one"), step("other"))
    assert sorted(seen.tree()) == ["root", "root > one", "root > other"]


def test_outside_a_trace_a_step_makes_none(seen: Seen) -> None:
    with seen.telemetry.tracing.step("alone") as span:
        assert not span.is_recording()
    assert seen.spans == ()


def test_within_a_trace_that_has_ended_a_task_goes_on(seen: Seen) -> None:
    tracing = seen.telemetry.tracing
    with tracing.begin("request") as request:
        request.end()
        with tracing.begin("run"), tracing.step("commit"):
            pass
    assert "request > run > commit" in seen.tree()


def test_traces_are_kept_up_to_a_rate_and_saved_up_to_a_number() -> None:
    now = 0.0
    budget = TraceBudget(rate=2, at_once=3, timer=lambda: now)
    assert [budget.spend() for _ in range(5)] == [True, True, True, False, False]
    now = 0.5
    assert [budget.spend() for _ in range(2)] == [True, False]
    now = 60.0
    assert sum(budget.spend() for _ in range(9)) == 3


def test_within_a_trace_that_is_not_kept_none_begins_though_there_were_time_for_one() -> None:
    now = 0.0
    seen, tracing = tracing_within(TraceBudget(rate=1, at_once=1, timer=lambda: now))
    for name in ("first", "second"):
        with tracing.begin(name) as span:
            now += 0.9 if name == "first" else 60
            with tracing.begin("within"), tracing.step("deeper"):
                assert (traceparent_of(span) is None) is (name == "second")
    assert seen.tree() == ["first", "first > within", "first > within > deeper"]


def test_what_names_a_kept_trace_is_kept_wherever_it_is_begun() -> None:
    seen, tracing = tracing_within(TraceBudget(rate=0, at_once=0))
    with tracing.begin("unkept"):
        with tracing.begin("asked", parent=context_of(f"{REMOTE}-01")), tracing.step("step"):
            assert is_kept()
        with tracing.begin("within"), tracing.step("step"):
            assert not is_kept()
    assert seen.tree() == ["asked", "asked > step"]


def test_a_host_programs_own_trace_goes_on_or_stays_unkept() -> None:
    seen, tracing = tracing_within(TraceBudget(rate=0, at_once=0))
    tracer = seen.traces.get_tracer("host")
    with tracer.start_as_current_span("host"), tracing.begin("run"), tracing.step("step"):
        pass
    unkept = NonRecordingSpan(SpanContext(trace_id=7, span_id=7, is_remote=False))
    with use_span(unkept), tracing.begin("run"), tracing.step("step"):
        pass
    assert seen.tree() == ["host", "host > run", "host > run > step"]


@pytest.mark.parametrize(("flags", "kept"), [("01", True), ("00", False), ("03", True)])
def test_whoever_asks_says_whether_their_trace_is_kept(flags: str, *, kept: bool) -> None:
    seen, tracing = tracing_within(TraceBudget(rate=0, at_once=0))
    with tracing.begin("request", parent=context_of(f"{REMOTE}-{flags}")), tracing.begin("run"):
        pass
    assert len(seen.spans) == (2 if kept else 0)


@pytest.mark.parametrize(
    "traceparent", [None, "", "nonsense", f"{REMOTE}-01-more", f"00-{'0' * 32}-{'1' * 16}-01"]
)
def test_what_is_no_traceparent_counts_as_none(traceparent: str | None) -> None:
    assert context_of(traceparent) is None
