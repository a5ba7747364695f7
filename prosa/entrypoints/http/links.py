"""The links of the OpenAPI document: what to ask next, with what an answer has just told."""

from collections.abc import Iterator
from typing import Any

_TURN = "/v1/turns/{turn_id}"
_CONVERSATION = "/v1/conversations/{conversation_id}"
_CONVERSATIONS = "/v1/conversations"

_OF_TURN = {
    "ReadTurn": ("get", _TURN, {"turn_id": "id"}),
    "FollowTurn": ("get", f"{_TURN}/events", {"turn_id": "id"}),
    "ReadConversation": ("get", _CONVERSATION, {"conversation_id": "conversation_id"}),
    "ListMessages": ("get", f"{_CONVERSATION}/messages", {"conversation_id": "conversation_id"}),
    "SendAnother": ("post", f"{_CONVERSATION}/messages", {"conversation_id": "conversation_id"}),
}
_OF_CONVERSATION = {
    "ReadConversation": ("get", _CONVERSATION, {"conversation_id": "id"}),
    "ListMessages": ("get", f"{_CONVERSATION}/messages", {"conversation_id": "id"}),
    "SendMessage": ("post", f"{_CONVERSATION}/messages", {"conversation_id": "id"}),
    "CloseConversation": ("post", f"{_CONVERSATION}/close", {"conversation_id": "id"}),
}


def add_links(document: dict[str, Any]) -> None:
    """Link each answer that holds an identifier to the operations that take it."""
    for answer in _answers_of(document, "/v1/messages", "/message", f"{_CONVERSATION}/messages"):
        answer["links"] = _links(_OF_TURN)
    for answer in _answers_of(document, _CONVERSATIONS):
        answer["links"] = _links(_OF_CONVERSATION)


def _answers_of(document: dict[str, Any], *paths: str) -> Iterator[dict[str, Any]]:
    """Go through the good answers to what is posted."""
    for path in paths:
        answers = document["paths"][path]["post"]["responses"]
        yield from (answer for status, answer in answers.items() if status.startswith("2"))


def _links(targets: dict[str, tuple[str, str, dict[str, str]]]) -> dict[str, Any]:
    return {
        name: {
            "operationRef": f"#/paths/{path.replace('/', '~1')}/{method}",
            "parameters": {taken: f"$response.body#/{told}" for taken, told in parameters.items()},
        }
        for name, (method, path, parameters) in targets.items()
    }
