"""What the routes need of an opened app, and where they find it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from fastapi import FastAPI, Request

from prosa.application.close_conversation import CloseConversation
from prosa.application.ports.authenticator import Authenticator
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.run_elsewhere import RunElsewhere
from prosa.application.start_conversation import StartConversation
from prosa.application.take_turn import TakeTurn
from prosa.bootstrap.parts import Chore, Probe
from prosa.entrypoints.http.live_turns import LiveTurns

if TYPE_CHECKING:  # an extra
    from prosa.adapters.opentelemetry.telemetry import Telemetry


class Parts(Protocol):
    """The parts of an opened app that HTTP serves; `prosa.bootstrap.App` has them."""

    @property
    def authenticator(self) -> Authenticator:
        """Says who asks."""

    @property
    def take_turn(self) -> TakeTurn:
        """Takes a customer's message in and brings a reply out."""

    @property
    def run_elsewhere(self) -> RunElsewhere | None:
        """Has turns run, where that is not to be in this process."""

    @property
    def start_conversation(self) -> StartConversation:
        """Starts conversations."""

    @property
    def close_conversation(self) -> CloseConversation:
        """Closes conversations."""

    @property
    def conversations(self) -> ConversationReader:
        """Reads conversations, messages and turns for display."""

    @property
    def probes(self) -> tuple[Probe, ...]:
        """What `/readyz` asks."""

    @property
    def chores(self) -> tuple[Chore, ...]:
        """What is done beside answering."""

    @property
    def telemetry(self) -> "Telemetry | None":
        """What sees the requests, if anything does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """An opened app while it is served: its parts, and the turns that run on their own."""

    parts: Parts
    live_turns: LiveTurns
    ping_seconds: float
    """How often a stream that has nothing to say shows that it lives."""
    reader_seconds: float
    """After how long the stream of a client that takes nothing of it is cut off."""
    body_seconds: float
    """How long a request's body may take to arrive."""
    hosts: frozenset[str] | None = None
    """The names beside those of this machine by which requests are answered; None is any."""


def serve_by(app: FastAPI, serving: Serving) -> None:
    """Hand an opened app to the routes."""
    app.state.serving = serving


def serving_by(app: FastAPI) -> Serving:
    """Find what was handed to the routes."""
    return cast("Serving", app.state.serving)


def serving_of(request: Request) -> Serving:
    """Find the opened app for a request."""
    return serving_by(request.app)


def parts_of(request: Request) -> Parts:
    """Find the parts of the opened app for a request."""
    return serving_of(request).parts
