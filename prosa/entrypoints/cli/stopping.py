"""uvicorn's ways to serve, stopped in two steps: what runs may end, and the second time it may not.

Needs the extra http, so it is imported only by what serves.
"""

import os
import signal
import threading
from socket import socket
from types import FrameType

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

SECONDS_UNTIL_TOLD = 0.5
"""Where nothing runs, the server has ended by then, and there is nothing to tell."""

STOPPED_NOW = 128 + signal.SIGINT


class PatientServer(uvicorn.Server):
    """Serves in this process."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop once what runs has ended; at the second Ctrl-C at once."""
        if not self.should_exit:
            _tell(self.config)
        elif sig == signal.SIGINT:
            _stop_now()
        super().handle_exit(sig, frame)


class PatientProcesses(Multiprocess):
    """Serves in several processes, which leave Ctrl-C to this one."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._told = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, sig: int, _frame: FrameType | None) -> None:
        if not self._told:
            self._told = True
            _tell(self.config)
        elif sig == signal.SIGINT:
            for process in self.processes:
                process.kill()
            _stop_now()
        self.signal_queue.append(sig)


def _tell(config: uvicorn.Config) -> None:
    """Say soon what is waited for. Not from a signal's handler: it may have interrupted a print."""
    seconds = config.timeout_graceful_shutdown
    text = f"Finishing what runs (at most {seconds} s); Ctrl-C again to stop now."
    telling = threading.Timer(SECONDS_UNTIL_TOLD, typer.echo, [text])
    telling.daemon = True
    telling.start()


def _stop_now() -> None:
    """End without unwinding: what runs would fail on what is closed, and say so in tracebacks.

    Nothing stored is lost, as with any end of the process: the database was made for that.
    """
    os._exit(STOPPED_NOW)
