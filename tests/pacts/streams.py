"""What consumers rely on in streams of events: examples, and patterns of Rust's regex."""

from tests.pacts.interactions import EXAMPLES, Stream

REPLY_PIECES = ("Saiu para entrega hoje. ", "Chega amanhã.")

_CONVERSATION = EXAMPLES["conversation_id"]
_TURN = EXAMPLES["turn_id"]

_STARTED = (
    "id: 1\nevent: turn.started\n"
    f'data: {{"turn_id":"{_TURN}","conversation_id":"{_CONVERSATION}"}}\n\n'
)
_FIRST = f'id: 2\nevent: turn.delta\ndata: {{"text":"{REPLY_PIECES[0]}"}}\n\n'
_SECOND = f'id: 3\nevent: turn.delta\ndata: {{"text":"{REPLY_PIECES[1]}"}}\n\n'
_COMPLETED = (
    "id: 4\nevent: turn.completed\ndata: "
    f'{{"id":"{_TURN}","conversation_id":"{_CONVERSATION}","status":"completed","attempt":1,'
    '"intent":null,"message":{"id":"msg_0198c0de7a5b7c3d8e9f0a1b2c3d4e60",'
    f'"conversation_id":"{_CONVERSATION}","role":"user","sequence":1,"text":"Oi","metadata":{{}},'
    '"created_at":"2026-11-20T12:00:00Z"},"reply":null,"error":null,'
    '"created_at":"2026-11-20T12:00:00Z","completed_at":"2026-11-20T12:00:01Z"}\n\n'
)
_PROBLEM = '{"code":"model_rejected"}'

_STARTS = (
    r"id: 1\nevent: turn\.started\n"
    r'data: \{"turn_id":"turn_[0-9a-f]{32}","conversation_id":"conv_[0-9a-f]{32}"\}\n\n'
)
_GOES_ON = r'id: \d+\nevent: turn\.delta\ndata: \{"text":"[^"]+"\}\n\n'
_COMPLETES = r'id: \d+\nevent: turn\.completed\ndata: \{.*"status":"completed".*\}\n\n'
_FAILS = r'id: 2\nevent: turn\.failed\ndata: \{.*"code":"model_rejected".*\}\n\n'


def whole_stream() -> Stream:
    """Expect all events of a completed turn."""
    return Stream(
        example=_STARTED + _FIRST + _SECOND + _COMPLETED,
        pattern=f"^{_STARTS}({_GOES_ON})+{_COMPLETES}$",
    )


def rest_of_stream() -> Stream:
    """Expect the events behind the first two."""
    return Stream(example=_SECOND + _COMPLETED, pattern=f"^({_GOES_ON})+{_COMPLETES}$")


def failed_stream() -> Stream:
    """Expect the events of a turn that failed."""
    return Stream(
        example=f"{_STARTED}id: 2\nevent: turn.failed\ndata: {_PROBLEM}\n\n",
        pattern=f"^{_STARTS}{_FAILS}$",
    )
