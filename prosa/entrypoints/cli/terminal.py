"""A conversation on a terminal; where there is none, plain text, with replies alone on stdout."""

import re
import sys
from io import TextIOWrapper

from rich.cells import cell_len
from rich.console import Console
from rich.status import Status

from prosa.domain.message import Role
from prosa.entrypoints.cli.chat_words import ChatWords

MAX_WIDTH = 88
"""Longer lines are hard to read."""

GAP = 2
"""Blanks between who speaks and what is said."""

_COLOURS = {Role.USER: "36", Role.ASSISTANT: "32"}
_OTHER_COLOUR = "33"

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What could move the cursor or change the terminal: nobody's words may."""

_WORD = re.compile(r"\n|[^\S\n]+|\S+")


class Terminal:
    """Asks for messages, and shows word by word what is said."""

    def __init__(self, words: ChatWords) -> None:
        self._words = words
        self._out = Console(highlight=False, markup=False, soft_wrap=True)
        self._err = Console(highlight=False, markup=False, soft_wrap=True, stderr=True)
        self.is_interactive = sys.stdin.isatty() and self._out.is_terminal
        self._waiting: Status | None = None
        self._speaking = False
        usual = (words.speakers[Role.USER], words.speakers[Role.ASSISTANT])
        self._indent = max(map(cell_len, usual)) + GAP
        self._column = 0
        self._blank = ""
        """What stands before the next word, if that is on the same line."""
        _make_lenient(sys.stdin, sys.stdout, sys.stderr)
        if self.is_interactive:
            _load_line_editing()

    def ask(self) -> str:
        """Wait for a line. Raises EOFError at the end of the input, and KeyboardInterrupt."""
        if not self.is_interactive:
            return input()
        # Between \x01 and \x02 stands what takes no place on the line.
        label = re.sub("(\x1b.*?m)", "\x01\\1\x02", self._label(Role.USER))
        try:
            return input(f"\n{label}")
        except (EOFError, KeyboardInterrupt):
            self._out.print()
            raise

    def wait(self) -> None:
        """Show that an answer is being made."""
        if self.is_interactive:
            self._waiting = self._out.status(self._words.thinking)
            self._waiting.start()

    def say(self, role: Role, text: str) -> None:
        """Show more of what somebody says."""
        text = _CONTROL.sub("", text)
        if not self._speaking:
            self._begin(role)
        if self.is_interactive:
            for word in _WORD.findall(text):
                self._put(word)
        else:
            self._out.file.write(text)
        self._out.file.flush()

    def begin_anew(self) -> None:
        """Leave what was said so far as it is: what comes is said in its place."""
        if self._speaking:
            self.end()

    def end(self) -> None:
        """End what is being said."""
        self._stop_waiting()
        if self._speaking:
            self._out.file.write("\n")
            self._out.file.flush()
        self._speaking = False

    def note(self, text: str, *, to_copy: bool = False) -> None:
        """Say something beside the conversation. What is to be copied is not cut into lines."""
        if self.is_interactive:
            self._out.print(text, style="dim", soft_wrap=to_copy)
        else:
            self._err.print(text)

    def fail(self, text: str) -> None:
        """Say in one sentence what went wrong."""
        self._err.print(f"prosa: {text}", style="red")

    def _begin(self, role: Role) -> None:
        self._stop_waiting()
        self._speaking = True
        if self.is_interactive:
            self._out.file.write(self._label(role))
            self._column, self._blank = self._indent, ""

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None

    def _put(self, word: str) -> None:
        """Put a word, a blank or the end of a line; a word that does not fit begins the next."""
        if word == "\n":
            self._break_line()
        elif word.isspace():
            self._blank = word
        else:
            width = cell_len(self._blank + word)
            if self._column + width > min(self._out.width, MAX_WIDTH):
                self._break_line()
                width = cell_len(word)
            self._out.file.write(self._blank + word)
            self._column += width
            self._blank = ""

    def _break_line(self) -> None:
        self._out.file.write("\n" + " " * self._indent)
        self._column = self._indent
        self._blank = ""

    def _label(self, role: Role) -> str:
        name = self._words.speakers[role]
        padding = " " * max(GAP, self._indent - cell_len(name))
        if self._out.no_color or self._out.color_system is None:
            return name + padding
        return f"\x1b[1;{_COLOURS.get(role, _OTHER_COLOUR)}m{name}\x1b[0m{padding}"


def _make_lenient(*streams: object) -> None:
    """Have what cannot be read or shown replaced: it is no reason to end a conversation."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _load_line_editing() -> None:
    """Give `input` cursor keys and a history, where the system has them."""
    try:
        import readline  # noqa: F401, PLC0415 - importing it is what does it
    except ImportError:
        return
