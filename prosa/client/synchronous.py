"""The client without asyncio.

Generated from `asynchronous.py`: change that, then `make format`.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from types import TracebackType
from typing import Self, Unpack

import httpx2

from prosa.client import requests
from prosa.client.answers import M, read, require_success
from prosa.client.connection import address_of, headers_of, require_limits, translated, written
from prosa.client.errors import ClientError, UnexpectedAnswer
from prosa.client.following import NOTHING_LEFT, Following
from prosa.client.models import (
    Conversation,
    Message,
    Page,
    Reply,
    T,
    Turn,
    TurnCompleted,
    TurnEvent,
)
from prosa.client.requests import (
    ConversationDetails,
    ConversationQuery,
    MessageDetails,
    MessageQuery,
    Request,
)
from prosa.client.tries import DEFAULT_SECONDS, DEFAULT_TRIES, Tries
from prosa.client.waiting import Patience, begun


class Client:
    """Calls a Prosa server; to be opened by `with`, and used by any number of threads.

    `url` is the server's address, as in `https://prosa.example.com`. `token` is a bearer token, or
    what gives one: it is asked before each request, so that tokens may change. A call has `seconds`
    for all its tries, unless it says otherwise, and gives up after `max_tries` that fail in a row;
    `pause` is how it waits between two of them, in seconds.

    Every call raises ClientError: Problem where the server says what is wrong, ServerUnreachable or
    UnexpectedAnswer where it does not.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | Callable[[], str] | None = None,
        seconds: float = DEFAULT_SECONDS,
        max_tries: int = DEFAULT_TRIES,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        require_limits(seconds, max_tries)
        self._address = address_of(url)
        self._token = token
        self._seconds = seconds
        self._max_tries = max_tries
        self._pause = pause
        self._http = httpx2.Client()

    def __enter__(self) -> Self:
        """Be ready; the first call connects."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self._http.close()

    def send_message(
        self, text: str, *, seconds: float | None = None, **details: Unpack[MessageDetails]
    ) -> Turn:
        """Send a customer's message and wait for its completed turn."""
        return self._ask(Turn, requests.new_message(text, **details), seconds)

    def stream_message(
        self, text: str, *, seconds: float | None = None, **details: Unpack[MessageDetails]
    ) -> AbstractContextManager[Iterator[TurnEvent]]:
        """Send a customer's message and hear what comes of it, event by event, TurnCompleted last.

        A stream that breaks off goes on where it was. A turn that fails before the first TurnDelta
        is tried again; behind one it is an error, as two texts must not be spliced.
        """
        message = requests.new_message(text, requests.ACCEPT_EVENTS, **details)
        return self._opened(Following(message), seconds)

    def submit_message(
        self, text: str, *, seconds: float | None = None, **details: Unpack[MessageDetails]
    ) -> Turn:
        """Send a customer's message without waiting for its turn, which usually runs still.

        A server that cannot run a turn behind its answer gives it completed. See `wait_for_turn`.
        """
        message = requests.new_message(text, requests.RESPOND_ASYNC, **details)
        return self._ask(Turn, message, seconds)

    def read_turn(self, turn_id: str, *, seconds: float | None = None) -> Turn:
        """Read a turn, whatever its status."""
        return self._ask(Turn, requests.turn(turn_id), seconds)

    def follow_turn(
        self, turn_id: str, *, last_event_id: int = 0, seconds: float | None = None
    ) -> AbstractContextManager[Iterator[TurnEvent]]:
        """Hear a turn's events behind one of them, by its `event_id`; there may be none left."""
        return self._opened(Following(turn_id=turn_id, last_event_id=last_event_id), seconds)

    def wait_for_turn(self, turn_id: str, *, seconds: float | None = None) -> Turn:
        """Wait until a turn is completed. Raises Problem where it fails."""
        completed: Turn | None = None
        with self.follow_turn(turn_id, seconds=seconds) as events:
            for event in events:
                if isinstance(event, TurnCompleted):
                    completed = event.turn
        if completed is None:
            raise UnexpectedAnswer(NOTHING_LEFT)
        return completed

    def start_conversation(
        self, *, seconds: float | None = None, **details: Unpack[ConversationDetails]
    ) -> Conversation:
        """Start a conversation without a message; a message may as well start one itself."""
        return self._ask(Conversation, requests.new_conversation(**details), seconds)

    def read_conversation(
        self, conversation_id: str, *, seconds: float | None = None
    ) -> Conversation:
        """Read a conversation without its messages."""
        return self._ask(Conversation, requests.conversation(conversation_id), seconds)

    def close_conversation(
        self, conversation_id: str, *, seconds: float | None = None
    ) -> Conversation:
        """Close a conversation: it takes no more messages. Closing a closed one changes nothing."""
        return self._ask(Conversation, requests.closing(conversation_id), seconds)

    def list_conversations(
        self, *, seconds: float | None = None, **query: Unpack[ConversationQuery]
    ) -> Page[Conversation]:
        """Read a page of conversations, by their start, newest first."""
        return self._ask(Page[Conversation], requests.conversations(**query), seconds)

    def list_messages(
        self, conversation_id: str, *, seconds: float | None = None, **query: Unpack[MessageQuery]
    ) -> Page[Reply | Message]:
        """Read a page of a conversation's messages, oldest first."""
        return self._ask(
            Page[Reply | Message], requests.messages(conversation_id, **query), seconds
        )

    def each_conversation(self, **query: Unpack[ConversationQuery]) -> Iterator[Conversation]:
        """Go through all conversations from `after` on, reading page by page."""
        return self._each(Page[Conversation], requests.conversations(**query))

    def each_message(
        self, conversation_id: str, **query: Unpack[MessageQuery]
    ) -> Iterator[Reply | Message]:
        """Go through all messages of a conversation from `after` on, reading page by page."""
        return self._each(Page[Reply | Message], requests.messages(conversation_id, **query))

    def _each(self, page_of: type[Page[T]], request: Request) -> Iterator[T]:
        next_page: Request | None = request
        while next_page is not None:
            page = self._ask(page_of, next_page)
            for item in page.data:
                yield item
            next_page = next_page.behind(page.last_id) if page.has_more and page.last_id else None

    def _ask(self, model: type[M], request: Request, seconds: float | None = None) -> M:
        """Ask until there is an answer, or an error that is final."""
        tries = self._tries(seconds)
        while True:
            try:
                return self._try(model, request, tries)
            except ClientError as error:
                self._pause(tries.pause_after(error))

    def _try(self, model: type[M], request: Request, tries: Tries) -> M:
        with self._sent(request, tries) as response:
            body = response.read()
        require_success(response.status_code, response.headers, body)
        return read(model, body, response.status_code)

    @contextmanager
    def _opened(self, following: Following, seconds: float | None) -> Iterator[Iterator[TurnEvent]]:
        """Have the connection closed with the block, also where not all events were heard."""
        with closing(self._events(following, self._tries(seconds))) as events:
            yield events

    def _events(self, following: Following, tries: Tries) -> Generator[TurnEvent, None, None]:
        """Hear a turn's events, over as many connections as it takes."""
        while not following.ended:
            try:
                with closing(self._heard(following, tries)) as events:
                    for event in events:
                        tries.succeeded()
                        yield event
            except ClientError as error:
                self._pause(following.pause_after(error, tries))

    def _heard(self, following: Following, tries: Tries) -> Generator[TurnEvent, None, None]:
        """Hear the events of one connection. Raises ServerUnreachable where some are missing."""
        with self._sent(following.next_request, tries) as response:
            if not response.is_success:
                body = response.read()
                require_success(response.status_code, response.headers, body)
            following.begin(response.status_code, response.headers)
            if following.ended:
                return
            for said in httpx2.EventSource(response):
                event = following.take(said)
                if event is not None:
                    yield event
        following.require_end()

    @contextmanager
    def _sent(self, request: Request, tries: Tries) -> Iterator[httpx2.Response]:
        """Send a request, and wait for the beginning of its answer."""
        asked = request.within(tries.seconds_left)
        token = self._token if isinstance(self._token, str | None) else self._token()
        with translated(self._address):
            sent = self._http.build_request(
                asked.method,
                f"{self._address}{asked.path}",
                params=asked.query,
                content=written(asked.body),
                headers=headers_of(asked.headers, token),
                extensions={"timeout": Patience(tries)},
            )
            with closing(begun(self._http, sent, tries)) as response:
                yield response

    def _tries(self, seconds: float | None) -> Tries:
        return Tries(self._seconds if seconds is None else seconds, self._max_tries)
