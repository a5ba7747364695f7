"""The web client, a chat widget in a customer's browser: what it asks Prosa, and what it relies on.

The code is as small as a widget's could be; a real one is JavaScript, and relies on the same.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from pact import match

from tests.pacts.interactions import (
    EVENT_STREAM,
    EXAMPLES,
    JSON,
    PROBLEM,
    Answer,
    Interaction,
    Request,
    Written,
    play,
)
from tests.pacts.shapes import (
    CONVERSATION_ID,
    MESSAGE_ID,
    SECONDS,
    TIME,
    TURN_ADDRESS,
    TURN_ID,
    problem,
)
from tests.pacts.streams import REPLY_PIECES, failed_stream, rest_of_stream, whole_stream

CONSUMER = "web-client"

TEXT = "Onde está o meu pedido 4711?"
KEY = EXAMPLES["idempotency_key"]
CONVERSATION = EXAMPLES["conversation_id"]
TURN = EXAMPLES["turn_id"]


@dataclass(frozen=True, slots=True)
class Said:
    """A reply, as the widget shows it."""

    conversation_id: str
    turn_id: str
    text: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A problem, as the widget acts on it."""

    code: str
    again_in: int | None = None
    """Seconds after which to ask again."""


class WebClient:
    """Talks for a customer, with their token."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.carry(EXAMPLES["customer_token"])

    def carry(self, token: str | None) -> "WebClient":
        """Take a token, or none."""
        self._http.headers.pop("Authorization", None)
        if token is not None:
            self._http.headers["Authorization"] = f"Bearer {token}"
        return self

    def say(self, text: str, **fields: str) -> Said | Refused:
        """Send a message and wait for the reply."""
        response = self._http.post(
            "/v1/messages",
            json={"text": text, **fields},
            headers={"Idempotency-Key": KEY, "Accept": JSON},
        )
        if response.is_error:
            return _refused(response)
        turn = response.json()
        replayed = response.headers.get("Idempotent-Replayed") == "true"
        return Said(turn["conversation_id"], turn["id"], turn["reply"]["text"], replayed)

    def hurry(self, text: str) -> Said | Refused:
        """Send a message and wait a second at most."""
        self._http.headers["Prefer"] = "wait=1"
        return self.say(text)

    def leave(self, text: str) -> str | Refused:
        """Send a message and give the address where the turn will be found."""
        response = self._http.post(
            "/v1/messages",
            json={"text": text},
            headers={"Idempotency-Key": KEY, "Prefer": "respond-async"},
        )
        if response.is_error:
            return _refused(response)
        assert response.status_code == 202
        assert response.json()["status"] == "running"
        return str(response.headers["Location"])

    def stream(self, conversation_id: str, text: str) -> list[str] | Refused:
        """Send a message in a conversation and give the pieces of the reply as they come."""
        response = self._http.post(
            f"/v1/conversations/{conversation_id}/messages",
            json={"text": text},
            headers={"Idempotency-Key": KEY, "Accept": EVENT_STREAM},
        )
        return _refused(response) if response.is_error else _pieces(response.text)

    def resume(self, turn_id: str, last_event_id: int | None) -> list[str] | Refused | None:
        """Go on with a reply behind an event; None where there is nothing more."""
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        response = self._http.get(f"/v1/turns/{turn_id}/events", headers=headers)
        if response.is_error:
            return _refused(response)
        return None if response.status_code == 204 else _pieces(response.text)

    def turn(self, turn_id: str) -> tuple[str, str | None] | Refused:
        """Give a turn's status and its reply."""
        response = self._http.get(f"/v1/turns/{turn_id}")
        if response.is_error:
            return _refused(response)
        turn = response.json()
        return turn["status"], turn["reply"] and turn["reply"]["text"]

    def history(self, conversation_id: str) -> list[tuple[str, str]] | Refused:
        """Give what was said so far, and by whom."""
        response = self._http.get(
            f"/v1/conversations/{conversation_id}/messages", params={"limit": "50"}
        )
        if response.is_error:
            return _refused(response)
        assert response.json()["has_more"] is False
        return [(message["role"], message["text"]) for message in response.json()["data"]]


@contextmanager
def opened(url: str) -> Iterator[WebClient]:
    """Open the client's connection."""
    with httpx.Client(base_url=url) as http:
        yield WebClient(http)


def _refused(response: httpx.Response) -> Refused:
    assert response.headers["Content-Type"] == PROBLEM
    again_in = response.headers.get("Retry-After")
    return Refused(response.json()["code"], int(again_in) if again_in else None)


def _pieces(events: str) -> list[str] | Refused:
    """Read the pieces of a stream, or why its turn failed."""
    named = re.findall(r"event: (\S+)\ndata: (.*)\n", events)
    *_, (last, said) = named
    if last == "turn.failed":
        return Refused(json.loads(said)["code"])
    assert last == "turn.completed"
    return [json.loads(said)["text"] for name, said in named if name == "turn.delta"]


REPLY = "".join(REPLY_PIECES)

COMPLETED = {
    "id": TURN_ID,
    "conversation_id": CONVERSATION_ID,
    "status": "completed",
    "message": {"id": MESSAGE_ID, "role": "user", "text": TEXT, "created_at": TIME},
    "reply": {
        "id": MESSAGE_ID,
        "role": "assistant",
        "text": match.like(REPLY),
        "created_at": TIME,
    },
    "error": None,
}

TOKEN = {"Authorization": "Bearer ${customer_token}"}
SAME_KEY = "${idempotency_key}"
MESSAGES = "/v1/conversations/${conversation_id}/messages"
EVENTS = "/v1/turns/${turn_id}/events"


def posting(body: Mapping[str, str] | None = None, **headers: str) -> Request:
    """Send a message, with a key that is new unless the headers have another."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Request(
        method="POST",
        path="/v1/messages",
        headers={**TOKEN, "Idempotency-Key": KEY, "Accept": JSON, **named},
        body={"text": TEXT, **(body or {})},
    )


def streaming() -> Request:
    """Send a message in a conversation, to read the reply as it is written."""
    return Request(
        method="POST",
        path=MESSAGES,
        headers={**TOKEN, "Idempotency-Key": KEY, "Accept": EVENT_STREAM},
        body={"text": TEXT},
    )


def reading(path: str, headers: Mapping[str, str] | None = None, **query: str) -> Request:
    """Read something."""
    return Request(method="GET", path=path, headers={**TOKEN, **(headers or {})}, query=query)


INTERACTIONS: tuple[Interaction[WebClient], ...] = (
    Interaction(
        description="a customer's first message",
        state="a customer is known",
        request=posting(),
        answer=Answer(
            headers={"Idempotency-Key": match.like(KEY), "X-Request-Id": match.like("0198c0de")},
            body=COMPLETED,
        ),
        use=lambda web: web.say(TEXT),
        gives=Said(CONVERSATION, TURN, REPLY),
    ),
    Interaction(
        description="another message in the customer's conversation",
        state="the customer has a conversation",
        request=posting({"conversation_id": "${conversation_id}"}),
        answer=Answer(body=COMPLETED),
        use=lambda web: web.say(TEXT, conversation_id=CONVERSATION),
        gives=Said(CONVERSATION, TURN, REPLY),
    ),
    Interaction(
        description="a message that comes again with its key",
        state="the customer has a conversation",
        request=posting(Idempotency_Key=SAME_KEY),
        answer=Answer(headers={"Idempotent-Replayed": "true"}, body=COMPLETED),
        use=lambda web: web.say(TEXT),
        gives=Said(CONVERSATION, TURN, REPLY, replayed=True),
    ),
    Interaction(
        description="a message whose reply is read as it is written",
        state="the customer has a conversation",
        request=streaming(),
        answer=Answer(content_type=EVENT_STREAM, body=whole_stream()),
        use=lambda web: web.stream(CONVERSATION, TEXT),
        gives=list(REPLY_PIECES),
    ),
    Interaction(
        description="a stream that broke off, from its last event on",
        state="the customer has a conversation",
        request=reading(EVENTS, {"Last-Event-ID": "2"}),
        answer=Answer(content_type=EVENT_STREAM, body=rest_of_stream()),
        use=lambda web: web.resume(TURN, 2),
        gives=[REPLY_PIECES[1]],
    ),
    Interaction(
        description="the events of a turn from the start",
        state="the customer has a conversation",
        request=reading(EVENTS),
        answer=Answer(content_type=EVENT_STREAM, body=whole_stream()),
        use=lambda web: web.resume(TURN, None),
        gives=list(REPLY_PIECES),
    ),
    Interaction(
        description="a stream of which nothing is left",
        state="the customer has a conversation",
        request=reading(EVENTS, {"Last-Event-ID": "${last_event_id}"}),
        answer=Answer(status=204, content_type=None),
        use=lambda web: web.resume(TURN, 4),
        gives=None,
    ),
    Interaction(
        description="a message to be answered later",
        state="a customer is known",
        request=Request(
            method="POST",
            path="/v1/messages",
            headers={**TOKEN, "Idempotency-Key": KEY, "Prefer": "respond-async"},
            body={"text": TEXT},
        ),
        answer=Answer(
            status=202,
            headers={"Location": TURN_ADDRESS, "Preference-Applied": "respond-async"},
            body={"id": TURN_ID, "status": "running", "reply": None},
        ),
        use=lambda web: web.leave(TEXT),
        gives=f"/v1/turns/{TURN}",
    ),
    Interaction(
        description="a turn that has its reply",
        state="the customer has a conversation",
        request=reading("/v1/turns/${turn_id}"),
        answer=Answer(body=COMPLETED),
        use=lambda web: web.turn(TURN),
        gives=("completed", REPLY),
    ),
    Interaction(
        description="what was said so far",
        state="the customer has a conversation",
        request=reading(MESSAGES, limit="50"),
        answer=Answer(
            body={
                "data": [
                    {"id": MESSAGE_ID, "sequence": 1, "role": "user", "text": TEXT},
                    {
                        "id": MESSAGE_ID,
                        "sequence": 2,
                        "role": "assistant",
                        "text": match.like(REPLY),
                    },
                ],
                "has_more": False,
                "last_id": MESSAGE_ID,
            }
        ),
        use=lambda web: web.history(CONVERSATION),
        gives=[("user", TEXT), ("assistant", REPLY)],
    ),
    Interaction(
        description="a message without a token",
        state="a customer is known",
        request=Request(
            method="POST", path="/v1/messages", headers={"Accept": JSON}, body={"text": TEXT}
        ),
        answer=Answer(
            status=401,
            content_type=PROBLEM,
            headers={"WWW-Authenticate": 'Bearer realm="prosa"'},
            body={"code": "unauthenticated"},
        ),
        use=lambda web: web.carry(None).say(TEXT),
        gives=Refused("unauthenticated"),
    ),
    Interaction(
        description="a message for another customer",
        state="a customer is known",
        request=posting({"customer_id": "somebody-else"}),
        answer=problem(403, "forbidden"),
        use=lambda web: web.say(TEXT, customer_id="somebody-else"),
        gives=Refused("forbidden"),
    ),
    Interaction(
        description="the messages of another customer",
        state="another customer has a conversation",
        request=reading(MESSAGES, limit="50"),
        answer=problem(404, "conversation_not_found"),
        use=lambda web: web.history(CONVERSATION),
        gives=Refused("conversation_not_found"),
    ),
    Interaction(
        description="a message while another one is being answered",
        state="a message of the customer's is being answered",
        request=posting({"conversation_id": "${conversation_id}"}),
        answer=problem(409, "conversation_busy", again=True),
        use=lambda web: web.say(TEXT, conversation_id=CONVERSATION),
        gives=Refused("conversation_busy", 2),
    ),
    Interaction(
        description="a message that comes again while it is being answered",
        state="a message of the customer's is being answered",
        request=posting(Idempotency_Key=SAME_KEY),
        answer=Answer(
            status=409,
            content_type=PROBLEM,
            headers={"Retry-After": SECONDS, "Location": TURN_ADDRESS},
            body={"code": "turn_in_progress", "turn_id": TURN_ID},
        ),
        use=lambda web: web.say(TEXT),
        gives=Refused("turn_in_progress", 2),
    ),
    Interaction(
        description="a message in a closed conversation",
        state="the customer's conversation is closed",
        request=streaming(),
        answer=problem(409, "conversation_closed"),
        use=lambda web: web.stream(CONVERSATION, TEXT),
        gives=Refused("conversation_closed"),
    ),
    Interaction(
        description="a blank message",
        state="a customer is known",
        request=posting({"text": " "}),
        answer=problem(
            422,
            "validation_error",
            errors=[
                {
                    "location": "body.text",
                    "code": match.like("blank_text"),
                    "detail": match.like("…"),
                }
            ],
        ),
        use=lambda web: web.say(" "),
        gives=Refused("validation_error"),
    ),
    Interaction(
        description="another message with a key that was used",
        state="the customer has a conversation",
        request=posting({"text": "Outra pergunta"}, Idempotency_Key=SAME_KEY),
        answer=problem(422, "idempotency_key_reused"),
        use=lambda web: web.say("Outra pergunta"),
        gives=Refused("idempotency_key_reused"),
    ),
    Interaction(
        description="a message that the model's provider refuses",
        state="the model refuses messages",
        request=posting(),
        answer=problem(502, "model_rejected", turn_id=TURN_ID),
        use=lambda web: web.say(TEXT),
        gives=Refused("model_rejected"),
    ),
    Interaction(
        description="the events of a turn that failed",
        state="a turn of the customer's has failed",
        request=reading(EVENTS),
        answer=Answer(content_type=EVENT_STREAM, body=failed_stream()),
        use=lambda web: web.resume(TURN, None),
        gives=Refused("model_rejected"),
    ),
    Interaction(
        description="a message that no model can answer",
        state="no model is available",
        request=posting(),
        answer=problem(503, "model_unavailable", again=True, turn_id=TURN_ID),
        use=lambda web: web.say(TEXT),
        gives=Refused("model_unavailable", 2),
    ),
    Interaction(
        description="a message that is not answered in time",
        state="the model is slow",
        request=posting(Prefer="wait=1"),
        answer=problem(504, "deadline_exceeded", turn_id=TURN_ID),
        use=lambda web: web.hurry(TEXT),
        gives=Refused("deadline_exceeded"),
    ),
)


def played(interaction: Interaction[WebClient]) -> Written:
    """Have the client play an interaction."""
    return play(CONSUMER, interaction, opened)
