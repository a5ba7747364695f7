"""Leads messages straight to their routes, past layers that do nothing for them. Pure ASGI."""

from collections.abc import Iterable

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from prosa.entrypoints.http.strict_json import StrictJsonRoute


class Shortcut:
    """Has routes that read and answer by themselves do so, where their address is a fixed one.

    All others, and refusals by address or method, are the framework's, which `app` is.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes: dict[tuple[str | None, str | None], StrictJsonRoute] = {
            (method, route.path): route
            for route in routes
            if isinstance(route, StrictJsonRoute) and route.body_field is not None
            if not route.param_convertors
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._routes.get((scope.get("method"), scope.get("path")))
        if route is None or scope.get("root_path"):
            await self._app(scope, receive, send)
            return
        scope["route"] = route  # as the framework does
        await route.app(scope, receive, send)
