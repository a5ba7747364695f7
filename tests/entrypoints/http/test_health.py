"""Whether the process lives, and whether its parts answer."""

import asyncio

import pytest

from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.bootstrap.parts import Probe
from prosa.entrypoints.http.schemas import Readiness
from tests.entrypoints.http.serving import app_of, parts_with, served, served_on_loopback


async def works() -> None:
    pass


async def has_news() -> str:
    return "circuit open, failures in a row: 5; asked again in 12 s"


async def is_away() -> None:
    raise StorageUnavailable("the database at localhost:5432 refuses connections")


async def is_stuck() -> None:
    await asyncio.Event().wait()


async def is_wrong() -> None:
    raise RuntimeError("secret words")


async def readiness(*probes: Probe) -> tuple[int, Readiness]:
    async with served(parts_with(probes=probes)) as client:
        response = await client.get("/readyz")
    return response.status_code, Readiness.model_validate_json(response.content)


async def test_the_process_lives_whatever_its_parts_do() -> None:
    async with served(parts_with(probes=(Probe(name="database", check=is_away),))) as client:
        response = await client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_monitor_may_ask_for_the_head_alone(path: str) -> None:
    async with served_on_loopback(app_of(parts_with())) as client:
        response = await client.head(path)
    assert (response.status_code, response.content) == (200, b"")


async def test_it_is_ready_when_all_parts_answer() -> None:
    status, ready = await readiness(
        Probe(name="database", check=works), Probe(name="model", check=works)
    )
    assert status == 200
    assert ready.status == "ready"
    assert [(check.name, check.ok) for check in ready.checks] == [
        ("database", True),
        ("model", True),
    ]


async def test_an_open_circuit_is_told_and_no_reason_to_be_unready() -> None:
    status, ready = await readiness(
        Probe(name="database", check=works), Probe(name="model a", check=has_news)
    )
    assert status == 200
    assert [check.detail for check in ready.checks] == ["it answers", await has_news()]


async def test_a_part_that_is_away_is_named_with_what_is_wrong() -> None:
    status, ready = await readiness(
        Probe(name="database", check=is_away), Probe(name="model", check=works)
    )
    assert status == 503
    assert ready.status == "not_ready"
    assert [check.ok for check in ready.checks] == [False, True]
    assert "refuses connections" in ready.checks[0].detail


async def test_a_part_that_is_stuck_does_not_hold_up_the_answer() -> None:
    async with asyncio.timeout(4):
        status, ready = await readiness(
            Probe(name="database", check=is_stuck), Probe(name="model", check=works)
        )
    assert status == 503
    assert ready.checks[0].detail == "it did not answer within 2 s"
    assert ready.checks[1].ok


async def test_a_probe_that_fails_unexpectedly_says_nothing_of_the_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    status, ready = await readiness(Probe(name="database", check=is_wrong))
    assert status == 503
    assert ready.checks[0].detail == "it could not be asked"
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


async def test_without_probes_it_is_ready() -> None:
    assert (await readiness())[0] == 200
