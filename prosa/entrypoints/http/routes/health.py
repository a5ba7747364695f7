"""Whether the process lives, and whether its parts answer."""

import asyncio
import logging
from collections.abc import Iterable

from fastapi import APIRouter, Request, Response

from prosa.bootstrap.parts import Probe
from prosa.domain.errors import ProsaError
from prosa.entrypoints.http import documentation as docs
from prosa.entrypoints.http.parts import parts_of
from prosa.entrypoints.http.rendering import View, json_answer
from prosa.entrypoints.http.schemas import Alive, Readiness

logger = logging.getLogger(__name__)

PROBE_SECONDS = 2.0
NOT_READY = 503

router = APIRouter(tags=["health"])


@router.get(
    "/healthz",
    summary="Ask whether the process lives",
    responses=docs.answers_to_anybody({200: docs.json_of(Alive, "alive", "It does.")}),
)
async def tell_alive() -> Response:
    """Say that the process lives; nothing else is asked."""
    return json_answer({"status": "ok"})


@router.get(
    "/readyz",
    summary="Ask whether all parts answer",
    responses=docs.answers_to_anybody(
        {
            200: docs.json_of(Readiness, "ready", "All parts answer."),
            503: docs.json_of(Readiness, "not_ready", "A part does not answer."),
        }
    ),
)
async def tell_ready(request: Request) -> Response:
    """Ask each part; answers within about two seconds, whatever the parts do."""
    checks = await _check_all(parts_of(request).probes)
    ready = all(check["ok"] for check in checks)
    return json_answer(
        {"status": "ready" if ready else "not_ready", "checks": checks},
        200 if ready else NOT_READY,
    )


for _path, _tell in (("/healthz", tell_alive), ("/readyz", tell_ready)):
    # Some monitors ask for the head alone.
    router.add_api_route(_path, _tell, methods=["HEAD"], include_in_schema=False)


async def _check_all(probes: Iterable[Probe]) -> list[View]:
    tasks = {asyncio.ensure_future(probe.check()): probe.name for probe in probes}
    if tasks:
        await asyncio.wait(tasks, timeout=PROBE_SECONDS)
    return [_checked(name, task) for task, name in tasks.items()]


def _checked(name: str, task: asyncio.Future[str | None]) -> View:
    """Read what a probe found; one that is not done is left behind."""
    if not task.done():
        task.cancel()
        return _failed(name, f"it did not answer within {PROBE_SECONDS:.0f} s")
    error = task.exception()
    if error is None:
        return {"name": name, "ok": True, "detail": task.result() or "it answers"}
    if isinstance(error, ProsaError):
        return _failed(name, str(error))
    logger.error("the probe of %s failed: %s", name, type(error).__name__)
    return _failed(name, "it could not be asked")


def _failed(name: str, detail: str) -> View:
    return {"name": name, "ok": False, "detail": detail}
