"""Who asks: the one place that says for which tenant, and as which caller, a request acts."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute

from prosa.application.own_conversations import OwnConversations
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.domain.caller import Caller
from prosa.entrypoints.http.own_host import require_own_host
from prosa.entrypoints.http.parts import Serving, parts_of, serving_of
from prosa.entrypoints.http.request_facts import facts_of

Answer = Callable[[Request], Coroutine[Any, Any, Response]]

_KEY = "prosa.caller"


class AuthenticatedRoute(APIRoute):
    """A route that is answered only where it is known who asks."""

    def get_route_handler(self) -> Answer:
        """Put the question who asks in front of FastAPI's own handler."""
        answer = super().get_route_handler()

        async def authenticate_then_answer(request: Request) -> Response:
            await authenticate(request, serving_of(request))
            return await answer(request)

        return authenticate_then_answer


async def authenticate(request: Request, serving: Serving) -> None:
    """Find out who asks; nothing else of the request is read before.

    Raises what an Authenticator raises, and Forbidden where it names another host than it may.
    """
    facts = facts_of(request.scope)
    if serving.hosts is not None:
        require_own_host(facts.lines(b"host"), serving.hosts)
    token = _token_in(facts.lines(b"authorization"))
    request.scope[_KEY] = await serving.parts.authenticator.caller_of(token)


def caller_of(request: Request) -> Caller:
    """Say who asks."""
    return cast("Caller", request.scope[_KEY])


def conversations_of(request: Request) -> ConversationReader:
    """Give the conversations that the caller may read."""
    reader, customer_id = parts_of(request).conversations, caller_of(request).customer_id
    return reader if customer_id is None else OwnConversations(reader, customer_id)


def _token_in(sent: Sequence[str]) -> str | None:
    """Find the bearer token (RFC 6750); what is none, or several, counts as none."""
    if len(sent) != 1:
        return None
    scheme, _, token = sent[0].partition(" ")
    return token.strip(" ") or None if scheme.lower() == "bearer" else None
