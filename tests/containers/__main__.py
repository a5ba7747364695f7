"""Builds the image and tries compose.yaml: `make containers`. Needs Docker and its compose.

Starts everything under a name of its own, takes turns, asks Prometheus all that the dashboard asks,
Jaeger for traces and Grafana for what is provisioned, stops the server while a turn runs, and
removes everything. Exits with 1, and says why, where something is not as it has to be.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "infrastructure" / "compose" / "grafana" / "dashboards" / "prosa.json"
PORTS = {"PORT": 18_000, "GRAFANA_PORT": 18_001, "PROMETHEUS_PORT": 18_002, "JAEGER_PORT": 18_003}
VARIABLES = {"PROSA_MODELS": "local", **{name: str(port) for name, port in PORTS.items()}}
"""What a `.env` of whoever tries it does not decide."""

PATIENCE = 120
"""Seconds, for what has to appear somewhere in the end."""

QUIET = ("Failed turns by code", "Recovered turns", "Fallbacks", "Failed calls by model")
"""Panels with nothing to show where nothing has failed."""


def compose(*arguments: str) -> str:
    """Run a command of compose's for the trial, and give what it printed."""
    command = ("docker", "compose", "--project-name", "prosa-trial", *arguments)
    environment = {**os.environ, **VARIABLES}
    ended = subprocess.run(  # the command is our own
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return ended.stdout


def docker_is_there() -> bool:
    """Whether there is Docker, with compose and a daemon that answers."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    return (
        subprocess.run((docker, "compose", "ls"), capture_output=True, check=False).returncode == 0
    )


@contextmanager
def running() -> Iterator[None]:
    """Start all of it, and remove all of it."""
    VARIABLES["POSTGRES_PASSWORD"] = secrets.token_hex(24)
    try:
        compose("up", "--wait", "--wait-timeout", "600")
        yield
    except BaseException:
        say(compose("logs", "--no-color", "--tail", "50"))
        raise
    finally:
        compose("down", "--volumes", "--remove-orphans")


def address(port: str, path: str) -> str:
    return f"http://127.0.0.1:{PORTS[port]}{path}"


def asked(url: str, body: object = None, **headers: str) -> bytes:
    """Ask, or send JSON, and give the answer. Raises HTTPError."""
    sent = None if body is None else json.dumps(body).encode()
    request = Request(url, sent, {"content-type": "application/json", **headers})  # noqa: S310 - http
    with urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
        read: bytes = answer.read()
        return read


def in_the_end(what: str, look: Callable[[], object]) -> None:
    """Wait until it is so. Raises AssertionError."""
    until = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < until, f"after {PATIENCE} s: {what}"
        time.sleep(2)
    say(what)


def answer_to(token: str, text: str, **headers: str) -> bytes:
    """Say something to Prosa, and give its answer, which may be a problem document."""
    url = address("PORT", "/v1/messages")
    try:
        return asked(url, {"text": text}, authorization=f"Bearer {token}", **headers)
    except HTTPError as problem:
        return problem.read()


def came_of(token: str, text: str) -> str:
    """Say something, and tell what came of it; the model may be too slow for a small machine."""
    answer = json.loads(answer_to(token, text))
    outcome: str = answer.get("code") or answer["status"]
    assert outcome in {"completed", "deadline_exceeded"}, answer
    return outcome


def is_answered(token: str) -> bool:
    return came_of(token, "Hi! Where is my order?") == "completed"


def is_streamed(token: str) -> bool:
    return b"event: turn.completed" in answer_to(token, "Hello!", accept="text/event-stream")


def found_by_prometheus(expression: str) -> list[Any]:
    query = quote(expression.replace("$__rate_interval", "5m"))
    answer = json.loads(asked(address("PROMETHEUS_PORT", f"/api/v1/query?query={query}")))
    found: list[Any] = answer["data"]["result"]
    return found


def queries() -> Iterator[tuple[str, str]]:
    """Give each query of the dashboard, behind the title of its panel."""
    for panel in json.loads(DASHBOARD.read_text("utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            if "expr" in target and panel["title"] not in QUIET:
                yield panel["title"], target["expr"]


def look_at_panels() -> None:
    """See that each panel has something to show."""
    for title, expression in queries():
        in_the_end(f"{title}: shown", partial(found_by_prometheus, expression))


def traces() -> list[Any]:
    found: list[Any] = json.loads(asked(address("JAEGER_PORT", "/api/traces?service=prosa")))[
        "data"
    ]
    return found


def look_at_grafana() -> None:
    asked(address("GRAFANA_PORT", "/api/dashboards/uid/prosa"))
    for source in ("prometheus", "jaeger"):
        asked(address("GRAFANA_PORT", f"/api/datasources/uid/{source}/health"))
    say("Grafana has the dashboard, and reaches its sources")


def stop_while_a_turn_runs(token: str) -> None:
    with ThreadPoolExecutor(1) as client:
        outcome = client.submit(came_of, token, "Tell me about your shop.")
        time.sleep(1)
        compose("stop", "server")
        outcome.result()
    code = compose("ps", "--all", "--format", "{{.ExitCode}}", "server").strip()
    assert code == "0", f"the server ended with {code}"
    say("a server that is stopped finishes what runs")


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - for whoever tries it


def main() -> int:
    """Try all of it."""
    if not docker_is_there():
        say("This needs Docker with its compose, and a daemon that answers.")
        return 1
    with running():
        token = compose("run", "--rm", "-T", "token", "--customer", "ana").strip()
        in_the_end("a turn is taken", partial(is_answered, token))
        in_the_end("a turn is streamed", partial(is_streamed, token))
        look_at_panels()
        in_the_end("Jaeger has traces", traces)
        look_at_grafana()
        stop_while_a_turn_runs(token)
    return 0


if __name__ == "__main__":
    sys.exit(main())
