"""A client of Prosa's HTTP API, in two forms with the same methods: Client, and AsyncClient.

    from prosa.client import Client

    with Client("http://127.0.0.1:8000") as server:
        turn = server.send_message("Hi! Where is my order?", customer_id="ana")
        print(turn.reply.text)

docs/client.md tells the rest. Needs the extra `client`.
"""

try:
    from prosa.client.asynchronous import AsyncClient
except ModuleNotFoundError as error:
    if error.name != "httpx2":
        raise
    missing = "prosa.client calls servers by httpx2: install prosa[client]"
    raise ModuleNotFoundError(missing, name=error.name) from None
from prosa.client.errors import (
    ClientError,
    Conflict,
    Forbidden,
    InvalidRequest,
    LimitReached,
    NotFound,
    Problem,
    ServerFailed,
    ServerUnreachable,
    TurnNotAnswered,
    Unauthenticated,
    UnexpectedAnswer,
    WrongField,
)
from prosa.client.models import (
    Conversation,
    Intent,
    Message,
    Page,
    PromptReference,
    Reply,
    TokenUsage,
    Turn,
    TurnCompleted,
    TurnDelta,
    TurnError,
    TurnEvent,
    TurnStarted,
)
from prosa.client.requests import (
    ConversationDetails,
    ConversationQuery,
    MessageDetails,
    MessageQuery,
)
from prosa.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "Conversation",
    "ConversationDetails",
    "ConversationQuery",
    "Forbidden",
    "Intent",
    "InvalidRequest",
    "LimitReached",
    "Message",
    "MessageDetails",
    "MessageQuery",
    "NotFound",
    "Page",
    "Problem",
    "PromptReference",
    "Reply",
    "ServerFailed",
    "ServerUnreachable",
    "TokenUsage",
    "Turn",
    "TurnCompleted",
    "TurnDelta",
    "TurnError",
    "TurnEvent",
    "TurnNotAnswered",
    "TurnStarted",
    "Unauthenticated",
    "UnexpectedAnswer",
    "WrongField",
]
