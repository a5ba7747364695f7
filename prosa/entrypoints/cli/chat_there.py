"""Whom `prosa chat --url` talks with: a server, by the client that other programs use, too."""

import contextlib
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from prosa.client import Client, TurnCompleted, TurnDelta, TurnEvent, TurnStarted
from prosa.domain.errors import ConfigurationError, ProsaError
from prosa.domain.message import Role
from prosa.entrypoints.cli.chat_assistant import CHANNEL, Assistant, Past, Said
from prosa.entrypoints.cli.terminal import Terminal

TRIES = 3
"""A person sees sooner than a program that a server is not there."""


@contextlib.contextmanager
def opened_there(
    url: str, token_file: Path | None, conversation_id: str | None
) -> Iterator[Assistant]:
    """Connect to a server. Raises ConfigurationError."""
    token = _reader_of(token_file) if token_file else None
    try:
        client = Client(url, token=token, max_tries=TRIES)
    except ValueError as error:
        raise ConfigurationError(f"--url: {error}") from error
    with client:
        yield AssistantThere(client, url, token_file, conversation_id)


class AssistantThere(Assistant):
    """Sends messages to a server and shows the streams that it answers with."""

    def __init__(
        self, client: Client, url: str, token_file: Path | None, conversation_id: str | None
    ) -> None:
        self._client = client
        self.conversation_id = conversation_id
        self.name = url
        known = ["--url", url, *(["--token-file", str(token_file)] if token_file else [])]
        self.options = f" {shlex.join(known)}"

    def is_closed(self) -> bool:
        """Read the conversation anew."""
        with contextlib.suppress(ProsaError):
            return self._client.read_conversation(self.conversation_id or "").status == "closed"
        return False

    def past(self, limit: int) -> Past:
        """Read the conversation's end."""
        conversation = self._client.read_conversation(self.conversation_id or "")
        newest = self._client.list_messages(conversation.id, limit=limit, order="desc").data
        said = [Said(role=Role(message.role), text=message.text) for message in reversed(newest)]
        return Past(said=said, earlier=conversation.message_count - len(said))

    def answer(self, text: str, terminal: Terminal) -> bool:
        """Hear the turn's events."""
        sent = self._client.stream_message(
            text, conversation_id=self.conversation_id, channel=CHANNEL
        )
        answered = False
        with sent as events:
            for event in events:
                answered = self._show(event, terminal) or answered
        return answered

    def _show(self, event: TurnEvent, terminal: Terminal) -> bool:
        """Show an event; say whether it says something of the reply."""
        match event:
            case TurnStarted():
                self.conversation_id = event.conversation_id
                terminal.begin_anew()
            case TurnDelta():
                terminal.say(Role.ASSISTANT, event.text)
            case TurnCompleted():
                return event.turn.reply is not None
        return isinstance(event, TurnDelta)


def _reader_of(file: Path) -> Callable[[], str]:
    """Read the token each time that it is asked for: whoever makes tokens may write a new one."""

    def read() -> str:
        try:
            return file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"--token-file: cannot read {file}") from error

    return read
