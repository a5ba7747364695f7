"""`prosa chat`: a conversation in the terminal, here or with a server."""

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from prosa.bootstrap.packages import required_packages
from prosa.bootstrap.secrets import read_settings
from prosa.domain.errors import ProsaError
from prosa.domain.identifiers import is_identifier
from prosa.domain.message import Role
from prosa.entrypoints.cli.chat_assistant import Assistant, Said
from prosa.entrypoints.cli.chat_here import opened_here
from prosa.entrypoints.cli.chat_words import WORDS, ChatWords
from prosa.entrypoints.cli.terminal import Terminal
from prosa.entrypoints.logs import set_up_logging
from prosa.settings import Settings

QUIT = frozenset({"/sair", "/quit"})
SHOWN_ON_RESUMING = 6

_SLASH_WORD = re.compile(r"/\w+(\s|$)")
"""How a line begins that is for the chat and not for the assistant; a path goes on with a /."""


def _conversation_id(text: str) -> str:
    if not is_identifier(text, "conv"):
        raise typer.BadParameter(f"{text} is no conversation's id; they look like conv_0199…")
    return text


def chat(
    conversation: Annotated[
        str | None,
        typer.Option(
            help="Go on with the conversation of this id.",
            metavar="CONV_ID",
            parser=_conversation_id,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Talk with the server at this address, as in http://127.0.0.1:8000."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the bearer token that the server wants; read again for each request."
        ),
    ] = None,
) -> None:
    """Talk with the assistant in the terminal.

    /sair, /quit or Ctrl-D ends the chat, Ctrl-C the answer that is being given; /help lists such
    words. Where the input is no terminal, each other line is a message and only the replies go to
    standard output.
    """
    if token_file is not None and url is None:
        raise typer.BadParameter("--token-file is for a server: say which one with --url")
    settings = read_settings()
    # Whatever is of use to the person is said in the conversation.
    set_up_logging(settings, at_least="ERROR")
    with _opened(settings, conversation, url, token_file) as assistant:
        worked = Chat(assistant, WORDS[settings.locale]).talk()
    raise typer.Exit(0 if worked else 1)


def _opened(
    settings: Settings, conversation: str | None, url: str | None, token_file: Path | None
) -> AbstractContextManager[Assistant]:
    if url is None:
        return opened_here(settings, conversation)
    with required_packages("prosa chat --url calls a server", extra="client"):
        from prosa.entrypoints.cli.chat_there import opened_there  # noqa: PLC0415 - of an extra
    return opened_there(url, token_file, conversation)


class Chat:
    """One sitting: messages are read, answered and shown until the person leaves."""

    def __init__(self, assistant: Assistant, words: ChatWords) -> None:
        self._assistant = assistant
        self._words = words
        self._terminal = Terminal(words)
        self._turn_failed = False

    def talk(self) -> bool:
        """Converse; say whether it worked: a person sees for themselves, a program does not."""
        self._open()
        while (text := self._next_message()) is not None:
            self._answer(text)
        if self._assistant.conversation_id is not None:
            self._take_leave(self._assistant.conversation_id)
        return self._terminal.is_interactive or not self._turn_failed

    def _open(self) -> None:
        if self._assistant.conversation_id is not None:
            self._show_past(self._assistant.conversation_id)
        elif self._terminal.is_interactive:
            self._terminal.note(self._words.greeting.format(model=self._assistant.name))

    def _take_leave(self, conversation_id: str) -> None:
        if self._assistant.is_closed():
            self._terminal.note(self._words.closed)
        else:
            again = f"prosa chat{self._assistant.options} --conversation {conversation_id}"
            self._terminal.note(self._words.farewell)
            self._terminal.note(again, to_copy=True)

    def _show_past(self, conversation_id: str) -> None:
        """Show how the conversation ended. Raises ProsaError where it cannot be read."""
        past = self._assistant.past(SHOWN_ON_RESUMING)
        if not self._terminal.is_interactive:
            return
        note, words = self._terminal.note, self._words
        note(words.resumed.format(model=self._assistant.name, conversation=conversation_id))
        if past.earlier:
            note(words.earlier.format(count=past.earlier))
        for said in past.said:
            self._show(said)

    def _show(self, said: Said) -> None:
        if said.role is Role.USER:
            self._terminal.note("")
        if said.text:  # a tool's call or result has none
            self._terminal.say(said.role, said.text)
            self._terminal.end()

    def _next_message(self) -> str | None:
        """Read on until a line says something, or until there is nothing more to say."""
        while True:
            try:
                text = self._terminal.ask().replace("\0", "").strip()
            except (EOFError, KeyboardInterrupt):
                return None
            if text in QUIT:
                return None
            if _SLASH_WORD.match(text):
                self._terminal.note(self._words.help)
            elif text:
                return text

    def _answer(self, text: str) -> None:
        self._terminal.wait()
        try:
            answered = self._assistant.answer(text, self._terminal)
        except ProsaError as error:
            self._terminal.end()
            self._turn_failed = True
            self._terminal.fail(str(error))
        except KeyboardInterrupt:
            self._terminal.end()
            self._terminal.note(self._words.interrupted)
        else:
            self._terminal.end()
            if not answered:
                self._terminal.note(self._words.no_answer)
