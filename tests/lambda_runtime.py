"""Lambda on the loopback: its Runtime API, and a function's container run by the real runtime.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).parents[1]
SECONDS_TO_START = 30
"""Far more than any start takes, also on a busy machine."""

_API = "/2018-06-01/runtime"


class FunctionError(Exception):
    """The function told of an error: at an event, or while it initialised."""

    def __init__(self, told: dict[str, Any], *, while_initialising: bool = False) -> None:
        super().__init__(f"{told['errorType']}: {told['errorMessage']}")
        self.type: str = told["errorType"]
        self.while_initialising = while_initialising


class TimedOutError(Exception):
    """The function's time was up, and its process was killed, as Lambda does it."""


@dataclass(slots=True, kw_only=True)
class Invocation:
    """An event, how long the function may work at it once it has it, and what comes of it."""

    event: object
    timeout_seconds: float
    deadline: float = math.inf
    """The end of that time, in seconds since 1970."""
    id: str = field(default_factory=lambda: str(uuid4()))
    outcome: Future[Any] = field(default_factory=Future)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.waiting: queue.SimpleQueue[Invocation] = queue.SimpleQueue()
        self.taken: dict[str, Invocation] = {}
        self.init_error: dict[str, Any] | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of containers that are killed."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Otherwise each answer leaves in two packets, and the second waits 40 ms for the first.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Give the next invocation to who asks, once there is one."""
        invocation = self.server.waiting.get()
        invocation.deadline = time.time() + invocation.timeout_seconds
        self.server.taken[invocation.id] = invocation
        self._answer(
            200,
            json.dumps(invocation.event).encode(),
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
                "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:0:function:f",
            },
        )

    def do_POST(self) -> None:
        """Take what came of an invocation, or of the initialisation."""
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        *_, place, what = self.path.split("/")
        if place == "init":
            self.server.init_error = told
        elif what == "response":
            self.server.taken[place].outcome.set_result(told)
        else:
            self.server.taken[place].outcome.set_exception(FunctionError(told))
        self._answer(202, b"{}", {})

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class LambdaFunction:
    """A function with one container, which is started by the first event that finds none."""

    def __init__(
        self,
        module: str,
        variables: Mapping[str, str],
        folder: Path,
        timeout_seconds: float = 30,
        *,
        handler: str = "handler",
    ) -> None:
        """`module` has the handler, under its name; `timeout_seconds` is the function's setting."""
        self.timeout_seconds = timeout_seconds
        self.starts = 0
        self._handler = f"{module}.{handler}"
        self._folder = folder
        self._log = folder / f"{self._handler}.log"
        self._server = _Server()
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            # The runtime of Lambda's Python 3.12 and later, which hears signals while it waits.
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
            **variables,
        }
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    @property
    def process_id(self) -> int:
        assert self._process is not None
        return self._process.pid

    def invoke(self, event: object) -> Any:  # noqa: ANN401 - whatever its JSON says
        """Give it an event, and what it returned.

        Raises FunctionError, and TimedOutError once its process was killed.
        """
        return self.wait(self.begin(event))

    def begin(self, event: object) -> Invocation:
        """Give it an event, and do not wait."""
        if self._process is None or self._process.poll() is not None:
            self.start()
        invocation = Invocation(event=event, timeout_seconds=self.timeout_seconds)
        self._server.waiting.put(invocation)
        return invocation

    def wait(self, invocation: Invocation) -> Any:  # noqa: ANN401 - as above
        """Wait for what came of an event. Raises as `invoke` does."""
        while not invocation.outcome.done():
            with contextlib.suppress(TimeoutError):
                return invocation.outcome.result(0.02)
            self._require_alive()
            if time.time() > invocation.deadline:
                self.kill()
                raise TimedOutError
        return invocation.outcome.result()

    def start(self, *options: str) -> None:
        """Start a container, by the interpreter with some options."""
        self.starts += 1
        self._server.init_error = None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *options, "-m", "awslambdaric", self._handler],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def send(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        os.kill(self.process_id, number)

    def end(self) -> int:
        """Wait until its process has ended; give its exit code."""
        assert self._process is not None
        return self._process.wait(SECONDS_TO_START)

    def kill(self) -> None:
        """End its process, as Lambda does where the time is up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        self._server.shutdown()
        self._server.server_close()

    def _require_alive(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            return
        if self._server.init_error is not None:
            raise FunctionError(self._server.init_error, while_initialising=True)
        raise AssertionError(f"exit code {self._process.returncode}: {self.log[-4000:]}")


@contextmanager
def lambda_function(
    module: str,
    variables: Mapping[str, str],
    folder: Path,
    timeout_seconds: float = 30,
    *,
    handler: str = "handler",
) -> Iterator[LambdaFunction]:
    """Make a function, and leave nothing behind of it."""
    function = LambdaFunction(module, variables, folder, timeout_seconds, handler=handler)
    try:
        yield function
    finally:
        function.close()
