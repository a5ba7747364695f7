"""Examples for the OpenAPI document: one small conversation, seen from every side."""

from collections.abc import Mapping

Example = Mapping[str, object]

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"

_CONVERSATION_ID = "conv_0198c0de7a5b7c3d8e9f0a1b2c3d4e5f"
_MESSAGE_ID = "msg_0198c0de7a5b7c3d8e9f0a1b2c3d4e60"
_REPLY_ID = "msg_0198c0de81c27a4b9d0e1f2a3b4c5d6e"
_TURN_ID = "turn_0198c0de7a5b7c3d8e9f0a1b2c3d4e61"
_ASKED_AT = "2026-01-31T12:00:00.123456Z"
_ANSWERED_AT = "2026-01-31T12:00:01.987654Z"
_ANSWER = "O pedido 4711 saiu para entrega hoje. Deve chegar até as 18h."

_MESSAGE: Example = {
    "id": _MESSAGE_ID,
    "object": "message",
    "conversation_id": _CONVERSATION_ID,
    "role": "user",
    "sequence": 1,
    "text": "Onde está o meu pedido 4711?",
    "metadata": {"order": "4711"},
    "created_at": _ASKED_AT,
}
_REPLY: Example = {
    "id": _REPLY_ID,
    "object": "message",
    "conversation_id": _CONVERSATION_ID,
    "role": "assistant",
    "sequence": 2,
    "text": _ANSWER,
    "metadata": {},
    "created_at": _ANSWERED_AT,
    "finish_reason": "stop",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "degraded": False,
    "prompt": {"name": "support_agent", "version": "1"},
    "usage": {"input_tokens": 210, "output_tokens": 42},
}
_TURN: Example = {
    "id": _TURN_ID,
    "object": "turn",
    "conversation_id": _CONVERSATION_ID,
    "status": "completed",
    "attempt": 1,
    "intent": {"name": "order_status", "confidence": 0.93},
    "message": _MESSAGE,
    "reply": _REPLY,
    "error": None,
    "created_at": _ASKED_AT,
    "completed_at": _ANSWERED_AT,
}
_RUNNING_TURN: Example = {
    **_TURN,
    "status": "running",
    "intent": None,
    "reply": None,
    "completed_at": None,
}
_CONVERSATION: Example = {
    "id": _CONVERSATION_ID,
    "object": "conversation",
    "status": "open",
    "owner": "assistant",
    "customer_id": "customer-42",
    "channel": "whatsapp",
    "metadata": {"order": "4711"},
    "created_at": _ASKED_AT,
    "updated_at": _ANSWERED_AT,
    "message_count": 2,
}
_CONVERSATION_LIST: Example = {
    "object": "list",
    "data": [_CONVERSATION],
    "first_id": _CONVERSATION_ID,
    "last_id": _CONVERSATION_ID,
    "has_more": False,
}
_MESSAGE_LIST: Example = {
    "object": "list",
    "data": [_MESSAGE, _REPLY],
    "first_id": _MESSAGE_ID,
    "last_id": _REPLY_ID,
    "has_more": False,
}
_READY: Example = {
    "status": "ready",
    "checks": [{"name": "database", "ok": True, "detail": "it answers"}],
}
_NOT_READY: Example = {
    "status": "not_ready",
    "checks": [
        {"name": "database", "ok": False, "detail": "it did not answer within 2 s"},
    ],
}
EVENTS = f"""id: 1
event: turn.started
data: {{"turn_id":"{_TURN_ID}","conversation_id":"{_CONVERSATION_ID}"}}

id: 2
event: turn.delta
data: {{"text":"O pedido 4711 saiu para entrega hoje. "}}

id: 3
event: turn.delta
data: {{"text":"Deve chegar até as 18h."}}

id: 4
event: turn.completed
data: {{"id":"{_TURN_ID}","object":"turn","status":"completed"}}

"""

EXAMPLES: Mapping[str, Example] = {
    "alive": {"status": "ok"},
    "ready": _READY,
    "not_ready": _NOT_READY,
    "turn": _TURN,
    "running_turn": _RUNNING_TURN,
    "conversation": _CONVERSATION,
    "started_conversation": {**_CONVERSATION, "updated_at": _ASKED_AT, "message_count": 0},
    "closed_conversation": {**_CONVERSATION, "status": "closed"},
    "conversation_list": _CONVERSATION_LIST,
    "message_list": _MESSAGE_LIST,
}
