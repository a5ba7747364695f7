"""What every answer carries, whoever gives it: the outermost middleware, pure ASGI."""

from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from prosa.adapters.log_context import TRACE_ID
from prosa.entrypoints.http.problem_table import problem_of
from prosa.entrypoints.http.problems import answer, report, report_internal
from prosa.entrypoints.http.request_facts import RequestFacts, keep_facts

NOTHING_MAY_LOAD = "default-src 'none'; frame-ancestors 'none'"
"""The content security policy of answers that are no pages."""

_POLICY = (b"content-security-policy", NOTHING_MAY_LOAD.encode())
_ALWAYS = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
]


class AnswerBrokenError(Exception):
    """An answer broke off after its beginning was sent; the cause has been logged."""


Cors = Callable[[ASGIApp], ASGIApp]
"""Has an application's answers say which pages may read them, and answers preflights."""


class Envelope:
    """Gives each request its ids, each answer its headers, and no failure a way out untold."""

    def __init__(self, app: ASGIApp, cors: Cors | None = None) -> None:
        """`cors` stands around the app, and around what its failures are answered with."""
        self._cors = cors or _to_no_page
        self._app = self._cors(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        facts = RequestFacts.read(scope["headers"])
        TRACE_ID.set(facts.trace_id)
        keep_facts(scope, facts)
        begun = False

        async def send_enveloped(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _complete(message, facts)
            await send(message)

        try:
            await self._app(scope, receive, send_enveloped)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
            if begun:
                report_internal(error, facts.trace_id)
                # The server closes the connection; what it logs must not quote a customer.
                raise AnswerBrokenError(facts.trace_id) from None
            report(error, facts.trace_id)
            failure = self._cors(answer(problem_of(error), Request(scope)))
            await failure(scope, receive, send_enveloped)


def _to_no_page(app: ASGIApp) -> ASGIApp:
    return app


def _complete(message: Message, facts: RequestFacts) -> None:
    """Add the headers; to a list of its own, since an answer may be sent more than once."""
    headers = [*message["headers"], *facts.headers, *_ALWAYS]
    if _POLICY[0] not in dict(message["headers"]):
        headers.append(_POLICY)
    message["headers"] = headers
