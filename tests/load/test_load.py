"""The load's script works, and runs are judged right: thresholds, leaks, growth."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.load.observing import Sample, grown, slope
from tests.load.report import drawing_of, write
from tests.load.runs import CROSSED, PROFILES, SCRIPT, Run, Second, k6, seconds_in, serving

USUAL = Sample(at=0.0, megabytes=(100.0,), threads=8, files=40, connections=0)


def held(at: float, *megabytes: float) -> Sample:
    return replace(USUAL, at=at, megabytes=megabytes)


def growing(megabytes_a_minute: float, seconds: int = 300) -> list[Sample]:
    return [held(at, 100 + megabytes_a_minute * at / 60) for at in range(seconds)]


def metrics(*, slow: bool = False, wrong: bool = False) -> Mapping[str, Any]:
    duration = {"med": 60.0, "p(95)": 90.0, "thresholds": {"p(95)<1000": slow}}
    return {
        "http_req_duration{name:message}": duration,
        "http_reqs": {"count": 900, "rate": 90.0},
        "checks": {"value": 1, "thresholds": {"rate==1": wrong}},
    }


def made(
    profile: str = "soak",
    *,
    exit_code: int = 0,
    summary: Mapping[str, Any] | None = None,
    samples: Sequence[Sample] | None = None,
    after: Sample | None = None,
) -> Run:
    return Run(
        profile=profile,
        database="sqlite",
        exit_code=exit_code,
        summary=summary or metrics(),
        seconds=tuple(Second(at=at, requests=90, median=60, p95=90) for at in range(10)),
        samples=tuple(samples or growing(0)),
        before=USUAL,
        after=after or USUAL,
    )


async def test_customers_visit_a_server_and_all_is_as_it_has_to_be(tmp_path: Path) -> None:
    async with serving("sqlite", tmp_path) as target:
        exit_code, summary, points = await k6(target, "smoke", 3)
    assert exit_code == 0, summary
    assert summary["checks"]["fails"] == 0
    assert summary["iterations"]["count"] > 0
    assert sum(each.requests for each in seconds_in(points)) == summary["http_reqs"]["count"]


def test_every_profile_is_in_the_script() -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    assert all(re.search(rf"^  {profile}: {{", script, re.MULTILINE) for profile in PROFILES)


def test_a_run_in_which_nothing_is_wrong_has_no_faults() -> None:
    assert made().faults == []


def test_a_threshold_that_is_crossed_is_a_fault() -> None:
    assert made(exit_code=CROSSED, summary=metrics(wrong=True)).faults == [
        "crossed: checks rate==1"
    ]


def test_a_breakpoint_ends_by_a_threshold_of_time_and_by_no_other() -> None:
    assert made("breakpoint", exit_code=CROSSED, summary=metrics(slow=True)).faults == []
    assert made("breakpoint", exit_code=CROSSED, summary=metrics(wrong=True)).faults
    assert made("load", exit_code=CROSSED, summary=metrics(slow=True)).faults


def test_k6_that_fails_is_a_fault() -> None:
    assert made(exit_code=107).faults == ["k6 ended with 107"]


@pytest.mark.parametrize(
    ("after", "told"),
    [
        (replace(USUAL, threads=9), "threads: 8 before, 9 after"),
        (replace(USUAL, files=41), "open files: 40 before, 41 after"),
        (replace(USUAL, connections=1), "connections of the database: 0 before, 1 after"),
        (replace(USUAL, megabytes=(100.0, 1.0)), "processes: 1 before, 2 after"),
    ],
)
def test_what_is_held_afterwards_and_was_not_before_is_a_fault(after: Sample, told: str) -> None:
    assert made(after=after).faults == [told]
    assert grown(after, USUAL) == []


def test_memory_that_grows_is_a_fault_of_a_long_soak_alone() -> None:
    assert made(samples=growing(2.0)).faults == ["memory grows by 2.00 MB a minute"]
    assert made(samples=growing(0.5)).faults == []
    assert made("load", samples=growing(2.0)).faults == []
    assert made(samples=growing(2.0, seconds=60)).faults == []


def test_growth_is_that_of_all_processes_together() -> None:
    samples = [held(at, 100 + at / 60, 200 + at / 30) for at in range(100)]
    assert slope(samples) == pytest.approx(3.0)


def test_the_page_tells_of_each_run_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    runs = [made(), made("load", exit_code=CROSSED, summary=metrics(wrong=True))]
    text = write(runs, tmp_path).read_text(encoding="utf-8")
    assert "checks rate==1" in text
    assert re.findall('src="(.*?)"', text) == [drawing_of(run) for run in runs]
    for run in runs:
        drawn = (tmp_path / drawing_of(run)).read_text(encoding="utf-8")
        assert drawn.count("<polyline") == 7
    assert "http" not in re.sub("http://www.w3.org/2000/svg", "", drawn)
