"""uvicorn's ways to serve, stopped in two steps: what runs may end, and the second time it may not.

Needs the extra http, so it is imported only by what serves.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from socket import socket
from types import FrameType

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

SECONDS_UNTIL_TOLD = 0.5
"""Where nothing runs, the server has ended by then, and there is nothing to tell."""

STOPPED_NOW = 128 + signal.SIGINT

OnSignal = Callable[[int, FrameType | None], object]


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


def hear_of_stopping(hear: Callable[[], None]) -> None:
    """Have the running loop call `hear` at a signal to stop, whatever its server does then.

    uvicorn itself ends the app's lifespan only after it has waited for all answers. A server that
    does not run in the main thread gets no signals, and neither does this.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        server = signal.getsignal(number)
        if callable(server):
            signal.signal(number, _heard(loop, hear, server))


def _heard(loop: asyncio.AbstractEventLoop, hear: Callable[[], None], server: OnSignal) -> OnSignal:
    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(hear)
        server(number, frame)

    return stop


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
