"""What is wrong with a request's parts: where, a code and a sentence, and nothing of the input."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from fastapi.routing import APIRoute
from pydantic import BaseModel

from prosa.entrypoints.field_errors import field_error
from prosa.entrypoints.http.problem_table import Problem, refusal
from prosa.entrypoints.http.schemas import KNOWN_NAMES

MAX_FIELD_ERRORS = 20
"""More is not told: whoever makes more mistakes mends these first."""


def problem_of_validation(findings: Sequence[Mapping[str, object]], route: APIRoute) -> Problem:
    """Tell what pydantic found in a request to this route."""
    allowed = _names_allowed(route)
    told = dict.fromkeys(
        field_error(found, KNOWN_NAMES, allowed) for found in findings[:MAX_FIELD_ERRORS]
    )
    return replace(refusal("validation_error"), errors=tuple(told))


def _names_allowed(route: APIRoute) -> dict[str, tuple[str, ...]]:
    """Say what the route's body and query may have: each is one of our models, where it is any."""
    fields = [("query", field) for field in route.dependant.query_params]
    if route.body_field is not None:
        fields.append(("body", route.body_field))
    return {
        place: tuple(cast("type[BaseModel]", field.field_info.annotation).model_fields)
        for place, field in fields
    }
