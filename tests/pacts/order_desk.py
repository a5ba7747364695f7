"""The order desk, a program of a tenant's own, on `prosa.client`: what it asks and relies on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Unpack

import httpx
import pytest
from pact import match

from prosa.client import (
    Client,
    Conflict,
    Conversation,
    ConversationDetails,
    ConversationQuery,
    InvalidRequest,
    NotFound,
    Problem,
    TurnDelta,
    TurnError,
    TurnNotAnswered,
)
from tests.pacts.interactions import (
    EVENT_STREAM,
    EXAMPLES,
    Answer,
    Interaction,
    Request,
    Written,
    play,
)
from tests.pacts.shapes import (
    CONVERSATION_ADDRESS,
    CONVERSATION_ID,
    MESSAGE_ID,
    NAMES,
    TIME,
    TURN_ID,
    problem,
)
from tests.pacts.streams import REPLY_PIECES, whole_stream

CONSUMER = "order-desk"

TEXT = "Onde está o meu pedido 4711?"
REPLY = "".join(REPLY_PIECES)
KEY = EXAMPLES["idempotency_key"]
CONVERSATION = EXAMPLES["conversation_id"]
TURN = EXAMPLES["turn_id"]
NO_TURN = f"turn_{'0' * 32}"
SECONDS = 20
CUSTOMER = {"customer_id": "customer-42", "channel": "whatsapp", "metadata": {"order": "4711"}}
DETAILS: ConversationDetails = {
    "customer_id": "customer-42",
    "channel": "whatsapp",
    "metadata": {"order": "4711"},
    "idempotency_key": KEY,
}


class OrderDesk:
    """Acts for any customer of its tenant, with a token of its own.

    What the client has no method for it asks without it: health, and the address without a version.
    """

    def __init__(self, prosa: Client, http: httpx.Client) -> None:
        self.prosa = prosa
        self.http = http

    def start(self, key: str) -> str:
        """Start a conversation; give its id."""
        details: ConversationDetails = {**DETAILS, "idempotency_key": key}
        return self.prosa.start_conversation(**details).id

    def send(self) -> str | None:
        """Send a customer's message; give the reply."""
        reply = self.prosa.send_message(TEXT, **DETAILS).reply
        return reply.text if reply else None

    def stream(self) -> list[str]:
        """Send a customer's message; give the pieces of the reply."""
        with self.prosa.stream_message(TEXT, **DETAILS) as events:
            return [event.text for event in events if isinstance(event, TurnDelta)]

    def post_unversioned(self) -> str:
        """Send a message as the first programs did; give the reply."""
        response = self.http.post("/message", json={"text": TEXT}, headers={"Idempotency-Key": KEY})
        return str(response.json()["reply"]["text"])

    def ids(self, **query: Unpack[ConversationQuery]) -> tuple[list[str], bool]:
        """List conversations; tell whether there are more."""
        page = self.prosa.list_conversations(**query)
        return [conversation.id for conversation in page.data], page.has_more

    def newest(self, conversation_id: str) -> str:
        """Read what was said last."""
        return self.prosa.list_messages(conversation_id, limit=1, order="desc").data[0].text

    def close_at_once(self, conversation_id: str) -> Conversation:
        """Close a conversation now, or not at all."""
        return self.prosa.close_conversation(conversation_id, seconds=1)


@contextmanager
def opened(url: str) -> Iterator[OrderDesk]:
    """Open the desk's connections."""
    token = EXAMPLES["service_token"]
    headers = {"Authorization": f"Bearer {token}"}
    with (
        Client(url, token=token, seconds=SECONDS, max_tries=1) as prosa,
        httpx.Client(base_url=url, headers=headers) as http,
    ):
        yield OrderDesk(prosa, http)


def refusal_of(call: Callable[[], object]) -> tuple[type[Problem], str]:
    """Say what kind of problem a call ends with, and its code."""
    with pytest.raises(Problem) as raised:
        call()
    return type(raised.value), raised.value.code


TOKEN = {"Authorization": "Bearer ${service_token}"}
PATIENCE = {"Prefer": match.regex("wait=19", regex="^wait=[1-9][0-9]*$")}
ONE = "/v1/conversations/${conversation_id}"

STARTED = {
    "id": CONVERSATION_ID,
    "status": "open",
    "owner": "assistant",
    "customer_id": "customer-42",
    "channel": "whatsapp",
    "metadata": NAMES,
    "created_at": TIME,
    "updated_at": TIME,
    "message_count": match.int(2),
}
ASKED = {
    "id": MESSAGE_ID,
    "conversation_id": CONVERSATION_ID,
    "role": "user",
    "sequence": match.int(1),
    "text": TEXT,
    "metadata": NAMES,
    "created_at": TIME,
}
ANSWERED = {
    **ASKED,
    "role": "assistant",
    "text": match.like(REPLY),
    "metadata": {},
    "finish_reason": "stop",
    "provider": match.like("openai"),
    "model": match.like("gpt-4o-mini"),
    "degraded": False,
    "prompt": {"name": match.like("support_agent"), "version": match.like("1")},
    "usage": {"input_tokens": match.int(210), "output_tokens": match.int(42)},
}
TURN_TAKEN = {
    "id": TURN_ID,
    "conversation_id": CONVERSATION_ID,
    "status": "completed",
    "attempt": match.int(1),
    "intent": {"name": match.like("order_status"), "confidence": match.number(0.93)},
    "message": ASKED,
    "reply": ANSWERED,
    "error": None,
    "created_at": TIME,
    "completed_at": TIME,
}
PAGE = {
    "data": match.each_like(STARTED, min=1),
    "first_id": CONVERSATION_ID,
    "last_id": CONVERSATION_ID,
}


def posting(path: str, body: Mapping[str, Any] | None = None, key: str | None = KEY) -> Request:
    """Ask for something to be done."""
    headers = TOKEN if key is None else {**TOKEN, "Idempotency-Key": key}
    return Request(method="POST", path=path, headers=headers, body=body)


def sending(**more: Any) -> Request:  # noqa: ANN401 - headers are texts or matchers
    """Send a message."""
    headers = {**TOKEN, "Idempotency-Key": KEY, **PATIENCE, **more}
    body = {"text": TEXT, **CUSTOMER}
    return Request(method="POST", path="/v1/messages", headers=headers, body=body)


def reading(path: str, **query: str) -> Request:
    """Read something."""
    return Request(method="GET", path=path, headers=TOKEN, query=query)


INTERACTIONS: tuple[Interaction[OrderDesk], ...] = (
    Interaction(
        description="a conversation to start",
        state="an order desk is known",
        request=posting("/v1/conversations", CUSTOMER),
        answer=Answer(status=201, headers={"Location": CONVERSATION_ADDRESS}, body=STARTED),
        use=lambda desk: desk.start(KEY),
        gives=CONVERSATION,
    ),
    Interaction(
        description="a message of a customer, handed on",
        state="an order desk is known",
        request=sending(),
        answer=Answer(body=TURN_TAKEN),
        use=lambda desk: desk.send(),
        gives=REPLY,
    ),
    Interaction(
        description="a message of a customer whose reply is handed on as it is written",
        state="an order desk is known",
        request=sending(Accept=EVENT_STREAM),
        answer=Answer(content_type=EVENT_STREAM, body=whole_stream()),
        use=lambda desk: desk.stream(),
        gives=list(REPLY_PIECES),
    ),
    Interaction(
        description="a message to the address without a version",
        state="an order desk is known",
        request=posting("/message", {"text": TEXT}),
        answer=Answer(body={"status": "completed", "reply": {"text": match.like(REPLY)}}),
        use=lambda desk: desk.post_unversioned(),
        gives=REPLY,
    ),
    Interaction(
        description="the first page of the open conversations",
        state="three conversations are open",
        request=reading("/v1/conversations", status="open", owner="assistant", limit="2"),
        answer=Answer(body={**PAGE, "has_more": True}),
        use=lambda desk: desk.ids(status="open", owner="assistant", limit=2),
        gives=([CONVERSATION], True),
    ),
    Interaction(
        description="the page behind a conversation",
        state="three conversations are open",
        request=reading("/v1/conversations", after="${conversation_id}", order="asc"),
        answer=Answer(body={**PAGE, "has_more": False}),
        use=lambda desk: desk.ids(after=CONVERSATION, order="asc"),
        gives=([CONVERSATION], False),
    ),
    Interaction(
        description="the conversations of a customer without any",
        state="three conversations are open",
        request=reading("/v1/conversations", customer_id="nobody"),
        answer=Answer(body={"data": [], "first_id": None, "last_id": None, "has_more": False}),
        use=lambda desk: desk.ids(customer_id="nobody"),
        gives=([], False),
    ),
    Interaction(
        description="a conversation",
        state="a conversation is open",
        request=reading(ONE),
        answer=Answer(body=STARTED),
        use=lambda desk: desk.prosa.read_conversation(CONVERSATION).metadata,
        gives={"order": "4711"},
    ),
    Interaction(
        description="the newest message of a conversation",
        state="a conversation is open",
        request=reading(f"{ONE}/messages", limit="1", order="desc"),
        answer=Answer(
            body={
                "data": [ANSWERED],
                "first_id": MESSAGE_ID,
                "last_id": MESSAGE_ID,
                "has_more": True,
            }
        ),
        use=lambda desk: desk.newest(CONVERSATION),
        gives=REPLY,
    ),
    Interaction(
        description="a turn that failed",
        state="a turn has failed",
        request=reading("/v1/turns/${turn_id}"),
        answer=Answer(
            body={
                **TURN_TAKEN,
                "status": "failed",
                "intent": None,
                "reply": None,
                "error": {"code": "model_rejected", "retryable": False},
            }
        ),
        use=lambda desk: desk.prosa.read_turn(TURN).error,
        gives=TurnError(code="model_rejected", retryable=False),
    ),
    Interaction(
        description="a conversation to close",
        state="a conversation is open",
        request=posting(f"{ONE}/close", key=None),
        answer=Answer(body={**STARTED, "status": "closed"}),
        use=lambda desk: desk.prosa.close_conversation(CONVERSATION).status,
        gives="closed",
    ),
    Interaction(
        description="a conversation to close while a message is being answered",
        state="a message is being answered",
        request=posting(f"{ONE}/close", key=None),
        answer=problem(409, "conversation_busy", again=True),
        use=lambda desk: refusal_of(lambda: desk.close_at_once(CONVERSATION)),
        gives=(Conflict, "conversation_busy"),
    ),
    Interaction(
        description="a conversation to start with a key that is none",
        state="an order desk is known",
        request=posting("/v1/conversations", CUSTOMER, key='"'),
        answer=problem(400, "invalid_idempotency_key"),
        use=lambda desk: refusal_of(lambda: desk.start('"')),
        gives=(InvalidRequest, "invalid_idempotency_key"),
    ),
    Interaction(
        description="a page that is too long",
        state="an order desk is known",
        request=reading("/v1/conversations", limit="101"),
        answer=problem(
            422,
            "validation_error",
            errors=[
                {
                    "location": "query.limit",
                    "code": match.like("less_than_equal"),
                    "detail": match.like("…"),
                }
            ],
        ),
        use=lambda desk: refusal_of(lambda: desk.ids(limit=101)),
        gives=(InvalidRequest, "validation_error"),
    ),
    Interaction(
        description="a turn that is none",
        state="an order desk is known",
        request=reading(f"/v1/turns/{NO_TURN}"),
        answer=problem(404, "turn_not_found"),
        use=lambda desk: refusal_of(lambda: desk.prosa.read_turn(NO_TURN)),
        gives=(NotFound, "turn_not_found"),
    ),
    Interaction(
        description="a message of a customer that the model's provider refuses",
        state="the model refuses messages",
        request=sending(),
        answer=problem(502, "model_rejected", turn_id=TURN_ID),
        use=lambda desk: refusal_of(desk.send),
        gives=(TurnNotAnswered, "model_rejected"),
    ),
    Interaction(
        description="whether the process lives",
        state="an order desk is known",
        request=reading("/healthz"),
        answer=Answer(body={"status": "ok"}),
        use=lambda desk: desk.http.get("/healthz").json(),
        gives={"status": "ok"},
    ),
    Interaction(
        description="whether all parts answer",
        state="an order desk is known",
        request=reading("/readyz"),
        answer=Answer(
            body={
                "status": "ready",
                "checks": match.each_like(
                    {"name": match.like("database"), "ok": True, "detail": match.like("…")}
                ),
            }
        ),
        use=lambda desk: desk.http.get("/readyz").json()["status"],
        gives="ready",
    ),
)


def played(interaction: Interaction[OrderDesk]) -> Written:
    """Have the desk play an interaction."""
    return play(CONSUMER, interaction, opened)
