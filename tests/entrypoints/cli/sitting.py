"""A person at a terminal, who chats."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from tests.entrypoints.cli.running import SECONDS, CommandLine

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Screen:
    """A terminal: what is typed on it, and all that it has shown."""

    terminal: int
    shown: str = ""

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def wait_for(self, text: str) -> str:
        """Wait until it shows `text`; give what it has shown since the last wait."""
        deadline = time.monotonic() + SECONDS
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self._read()
        before, found, self.shown = self.shown.partition(text)
        return before + found

    def _read(self) -> None:
        readable, _, _ = select.select([self.terminal], [], [], 0.1)
        if readable:
            more = os.read(self.terminal, 65_536).decode()
            self.shown += _ESCAPES.sub("", more).replace("\r\n", "\n")


@dataclass(frozen=True)
class Sitting:
    """A person's chat."""

    screen: Screen
    program: subprocess.Popen[bytes]

    def interrupt(self) -> None:
        """Press Ctrl-C once the program waits.

        Between showing a prompt and waiting for keys, readline hears no signal before the next one.
        """
        deadline = time.monotonic() + SECONDS
        while psutil.Process(self.program.pid).status() != psutil.STATUS_SLEEPING:
            assert time.monotonic() < deadline, "it is always busy"
            time.sleep(0.01)
        self.program.send_signal(signal.SIGINT)


@contextmanager
def sitting_down(prosa: CommandLine, *arguments: str, **variables: str) -> Iterator[Sitting]:
    """Have a person chat."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        prosa.command("chat", *arguments),
        cwd=prosa.folder,
        env=prosa.environment({"TERM": "xterm", "COLUMNS": "40", **variables}),
        stderr=theirs,
        stdin=theirs,
        stdout=theirs,
    ) as program:
        os.close(theirs)
        yield Sitting(Screen(ours), program)
        program.kill()
    os.close(ours)
