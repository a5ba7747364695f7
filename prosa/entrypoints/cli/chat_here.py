"""Whom `prosa chat` talks with where nothing else is said: the application, in this process."""

import asyncio
import contextlib
from collections.abc import Iterator

from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import App, bootstrap
from prosa.bootstrap.storage import naming_database
from prosa.domain.conversation_header import ConversationStatus
from prosa.domain.errors import ProsaError
from prosa.domain.identifiers import DEFAULT_TENANT, ConversationId
from prosa.domain.message import Role
from prosa.entrypoints.cli.chat_assistant import CHANNEL, Assistant, Past, Said
from prosa.entrypoints.cli.chat_words import WORDS
from prosa.entrypoints.cli.in_words import model_in_words
from prosa.entrypoints.cli.terminal import Terminal
from prosa.settings import Settings


@contextlib.contextmanager
def opened_here(settings: Settings, conversation_id: str | None) -> Iterator[Assistant]:
    """Open the application on an event loop that rests while the person types.

    Raises ConfigurationError, StorageUnavailable.
    """
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        app = runner.run(stack.enter_async_context(bootstrap(settings)))
        try:
            runner.run(_require_working(app))
            yield AssistantHere(app, runner, conversation_id)
        finally:
            runner.run(stack.aclose())


async def _require_working(app: App) -> None:
    """Unlike a server, a chat does not wait for a database to come back."""
    with naming_database(app.settings):
        for probe in app.probes:
            await probe.check()


class AssistantHere(Assistant):
    """Takes turns by the same use cases as the HTTP API."""

    options = ""

    def __init__(self, app: App, runner: asyncio.Runner, conversation_id: str | None) -> None:
        self._app = app
        self._runner = runner
        self.conversation_id = conversation_id
        self.name = model_in_words(app.settings, WORDS[app.settings.locale].demonstration)

    def is_closed(self) -> bool:
        """Read the conversation anew."""
        return self._runner.run(self._is_closed())

    def past(self, limit: int) -> Past:
        """Read the conversation's end."""
        return self._runner.run(self._past(limit))

    def answer(self, text: str, terminal: Terminal) -> bool:
        """Accept the message and run its turn."""
        return self._runner.run(self._answer(text, terminal))

    @property
    def _id(self) -> ConversationId:
        return ConversationId(self.conversation_id or "")

    async def _is_closed(self) -> bool:
        with contextlib.suppress(ProsaError):
            header = await self._app.conversations.get_conversation(DEFAULT_TENANT, self._id)
            return header.status is ConversationStatus.CLOSED
        return False

    async def _past(self, limit: int) -> Past:
        conversations = self._app.conversations
        header = await conversations.get_conversation(DEFAULT_TENANT, self._id)
        newest = await conversations.list_messages(
            DEFAULT_TENANT, self._id, limit=limit, after=None, ascending=False
        )
        said = [Said(role=message.role, text=message.text) for message in reversed(newest.items)]
        return Past(said=said, earlier=header.message_count - len(said))

    async def _answer(self, text: str, terminal: Terminal) -> bool:
        async def show(piece: str) -> None:
            terminal.say(Role.ASSISTANT, piece)

        take_turn = self._app.take_turn
        accepted = await take_turn.accept(
            CustomerMessage(
                text=text,
                conversation_id=self._id if self.conversation_id else None,
                channel=CHANNEL,
            )
        )
        self.conversation_id = accepted.turn.conversation_id
        if accepted.attempt is not None:
            await take_turn.run(accepted.attempt, show)
        elif accepted.turn.reply is not None:
            # The guardrail has given it already.
            terminal.say(accepted.turn.reply.role, accepted.turn.reply.text)
        return accepted.attempt is not None or accepted.turn.reply is not None
