"""Requests that no route takes: there is no such address, or it has no such method."""

from collections.abc import Iterable
from dataclasses import replace

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from prosa.entrypoints.http.problem_table import Problem, refusal

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "payload_too_large"}


def problem_of_http(request: Request, error: HTTPException) -> Problem:
    """Tell what the framework refused by itself."""
    problem = refusal(_CODES.get(error.status_code, "bad_request"))
    if problem.code == "method_not_allowed":
        return replace(problem, headers={"Allow": ", ".join(_methods_at(request))})
    return problem


def _methods_at(request: Request) -> Iterable[str]:
    """List the methods of all routes at the address: the framework names those of one only."""
    return sorted(
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    )
