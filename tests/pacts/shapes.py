"""What consumers rely on in identifiers, moments and problems, as matchers of Pact's."""

from typing import Any

from pact import match

from tests.pacts.interactions import EXAMPLES, PROBLEM, Answer

MOMENT = "2026-11-20T12:00:00.000000Z"

CONVERSATION_ID = match.regex(EXAMPLES["conversation_id"], regex="^conv_[0-9a-f]{32}$")
TURN_ID = match.regex(EXAMPLES["turn_id"], regex="^turn_[0-9a-f]{32}$")
MESSAGE_ID = match.regex("msg_0198c0de7a5b7c3d8e9f0a1b2c3d4e60", regex="^msg_[0-9a-f]{32}$")
TURN_ADDRESS = match.regex(
    f"/v1/turns/{EXAMPLES['turn_id']}", regex="^/v1/turns/turn_[0-9a-f]{32}$"
)
CONVERSATION_ADDRESS = match.regex(
    f"/v1/conversations/{EXAMPLES['conversation_id']}",
    regex="^/v1/conversations/conv_[0-9a-f]{32}$",
)
SECONDS = match.regex("2", regex="^[1-9][0-9]*$")
TIME = match.regex(MOMENT, regex=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
NAMES = match.each_value_matches({"order": "4711"}, rules=match.like("4711"))


def problem(status: int, code: str, *, again: bool = False, **more: Any) -> Answer:  # noqa: ANN401 - values or matchers
    """Expect a problem by its code; `again` says that it has to tell when to ask again."""
    body = {
        "status": status,
        "code": code,
        "title": match.like("What happened"),
        "detail": match.like("What to do."),
        "trace_id": match.regex("4bf92f3577b34da6a3ce929d0e0e4736", regex="^[0-9a-f]{32}$"),
        **more,
    }
    headers = {"Retry-After": SECONDS} if again else {}
    return Answer(status=status, content_type=PROBLEM, headers=headers, body=body)
