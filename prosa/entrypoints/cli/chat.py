"""`prosa chat`: a conversation in the terminal, on the same use cases as the HTTP API."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from typing import Annotated

import typer

from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import App, bootstrap
from prosa.bootstrap.storage import naming_database
from prosa.domain.conversation_header import ConversationStatus
from prosa.domain.errors import ProsaError
from prosa.domain.identifiers import DEFAULT_TENANT, ConversationId, is_identifier
from prosa.domain.message import Message, Role
from prosa.domain.turn import Attempt, Turn
from prosa.entrypoints.cli.chat_words import WORDS
from prosa.entrypoints.cli.in_words import model_in_words
from prosa.entrypoints.cli.terminal import Terminal
from prosa.entrypoints.logs import set_up_logging
from prosa.settings import Settings

CHANNEL = "terminal"
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
) -> None:
    """Talk with the assistant in the terminal.

    /sair, /quit or Ctrl-D ends the chat, Ctrl-C the answer that is being given; /help lists such
    words. Where the input is no terminal, each other line is a message and only the replies go to
    standard output.
    """
    settings = Settings()
    # Whatever is of use to the person is said in the conversation.
    set_up_logging(settings.log_level, at_least="ERROR")
    conversation_id = ConversationId(conversation) if conversation else None
    with _opened(settings) as (app, runner):
        worked = Chat(app, runner, conversation_id).talk()
    raise typer.Exit(0 if worked else 1)


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[tuple[App, asyncio.Runner]]:
    """Open the application on an event loop that rests while the person types.

    Raises ConfigurationError, StorageUnavailable.
    """
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        app = runner.run(stack.enter_async_context(bootstrap(settings)))
        try:
            runner.run(_require_working(app))
            yield app, runner
        finally:
            runner.run(stack.aclose())


async def _require_working(app: App) -> None:
    """Unlike a server, a chat does not wait for a database to come back."""
    with naming_database(app.settings):
        for probe in app.probes:
            await probe.check()


class Chat:
    """One sitting: messages are read, answered and shown until the person leaves."""

    def __init__(
        self, app: App, runner: asyncio.Runner, conversation_id: ConversationId | None
    ) -> None:
        self._app = app
        self._runner = runner
        self._conversation_id = conversation_id
        self._words = WORDS[app.settings.locale]
        self._model = model_in_words(app.settings, self._words.demonstration)
        self._terminal = Terminal(self._words)
        self._turn_failed = False

    def talk(self) -> bool:
        """Converse; say whether it worked: a person sees for themselves, a program does not."""
        self._open()
        while (text := self._next_message()) is not None:
            self._answer(text)
        if self._conversation_id is not None:
            self._take_leave(self._conversation_id)
        return self._terminal.is_interactive or not self._turn_failed

    def _open(self) -> None:
        if self._conversation_id is not None:
            self._runner.run(self._show_conversation(self._conversation_id))
        elif self._terminal.is_interactive:
            self._terminal.note(self._words.greeting.format(model=self._model))

    def _take_leave(self, conversation_id: ConversationId) -> None:
        if self._runner.run(self._is_closed(conversation_id)):
            self._terminal.note(self._words.closed)
        else:
            self._terminal.note(self._words.farewell)
            self._terminal.note(f"prosa chat --conversation {conversation_id}", to_copy=True)

    async def _is_closed(self, conversation_id: ConversationId) -> bool:
        """Ask anew: somebody else may have closed it. One that cannot be read counts as open."""
        with contextlib.suppress(ProsaError):
            conversations = self._app.conversations
            header = await conversations.get_conversation(DEFAULT_TENANT, conversation_id)
            return header.status is ConversationStatus.CLOSED
        return False

    async def _show_conversation(self, conversation_id: ConversationId) -> None:
        """Show how the conversation ended. Raises ConversationNotFound, StorageUnavailable."""
        conversations = self._app.conversations
        header = await conversations.get_conversation(DEFAULT_TENANT, conversation_id)
        newest = await conversations.list_messages(
            DEFAULT_TENANT, conversation_id, limit=SHOWN_ON_RESUMING, after=None, ascending=False
        )
        if not self._terminal.is_interactive:
            return
        note, words = self._terminal.note, self._words
        note(words.resumed.format(model=self._model, conversation=conversation_id))
        if newest.has_more:
            note(words.earlier.format(count=header.message_count - len(newest.items)))
        for message in reversed(newest.items):
            self._show(message)

    def _show(self, message: Message) -> None:
        if message.role is Role.USER:
            self._terminal.note("")
        if message.text:  # a tool's call or result has none
            self._terminal.say(message.role, message.text)
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
        try:
            self._take_turn(text)
        except ProsaError as error:
            self._turn_failed = True
            self._terminal.fail(str(error))

    def _take_turn(self, text: str) -> None:
        try:
            attempt = self._runner.run(self._accept(text))
            if attempt is not None:
                self._run(attempt)
        finally:
            self._terminal.end()

    async def _accept(self, text: str) -> Attempt | None:
        """Store the message; show the reply where the guardrail has given it already."""
        accepted = await self._app.take_turn.accept(
            CustomerMessage(text=text, conversation_id=self._conversation_id, channel=CHANNEL)
        )
        self._conversation_id = accepted.turn.conversation_id
        if accepted.attempt is None:
            self._show_outcome(accepted.turn)
        return accepted.attempt

    def _run(self, attempt: Attempt) -> None:
        self._terminal.wait()
        try:
            self._runner.run(self._app.take_turn.run(attempt, self._show_piece))
        except KeyboardInterrupt:
            self._terminal.end()
            self._terminal.note(self._words.interrupted)

    async def _show_piece(self, piece: str) -> None:
        self._terminal.say(Role.ASSISTANT, piece)

    def _show_outcome(self, turn: Turn) -> None:
        if turn.reply is None:
            self._terminal.note(self._words.no_answer)
        else:
            self._terminal.say(turn.reply.role, turn.reply.text)
