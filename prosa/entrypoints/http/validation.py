"""What is wrong with a request's parts, in our words: pydantic's findings without the input."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fastapi.exceptions import RequestValidationError

from prosa.entrypoints import customer_fields
from prosa.entrypoints.http import schemas
from prosa.entrypoints.http.problem_table import FieldError, Problem, refusal

MAX_FIELD_ERRORS = 20
"""More is not told: whoever makes more mistakes mends these first."""

_WRONG_TYPE = ("wrong_type", "is not of the type that is expected here")

_FINDINGS = {
    "missing": ("missing", "is required"),
    "extra_forbidden": ("unknown_field", "has something that is not known here"),
    "string_type": ("wrong_type", "must be a string"),
    "string_unicode": ("invalid_text", "must be text without lone surrogates"),
    "string_too_short": ("too_short", "must have at least {min_length} characters"),
    "string_too_long": ("too_long", "may have at most {max_length} characters"),
    "too_long": ("too_long", "may have at most {max_length} entries"),
    "dict_type": ("wrong_type", "must be an object"),
    "int_parsing": ("wrong_type", "must be a whole number"),
    "int_type": ("wrong_type", "must be a whole number"),
    "greater_than_equal": ("out_of_range", "must be at least {ge}"),
    "less_than_equal": ("out_of_range", "must be at most {le}"),
    "literal_error": ("not_allowed", "must be {expected}"),
    "enum": ("not_allowed", "must be {expected}"),
    customer_fields.BLANK_TEXT: ("blank_text", "must have something in it that can be read"),
}
"""How a finding of pydantic is told, by its type: our code, and the end of a sentence."""

_PATTERNS = {
    customer_fields.NO_NUL: ("nul_character", "must not contain the character NUL"),
    customer_fields.CONVERSATION_ID: ("wrong_form", "must be `conv_` and 32 hexadecimal digits"),
    schemas.MESSAGE_ID: ("wrong_form", "must be `msg_` and 32 hexadecimal digits"),
}
_OTHERWISE = ("invalid", "is not valid")


def problem_of_validation(error: RequestValidationError) -> Problem:
    """Tell what pydantic found: where, a code and a sentence, and nothing of the input."""
    told = dict.fromkeys(map(_told, error.errors()[:MAX_FIELD_ERRORS]))
    return replace(refusal("validation_error"), errors=tuple(told))


def _told(finding: Mapping[str, object]) -> FieldError:
    location = ".".join(_known_names(finding["loc"]))
    context = finding.get("ctx")
    facts = context if isinstance(context, Mapping) else {}
    code, sentence = _FINDINGS.get(str(finding["type"]), _OTHERWISE)
    if "pattern" in facts:
        code, sentence = _PATTERNS.get(str(facts["pattern"]), _OTHERWISE)
    return FieldError(
        location=location, code=code, detail=f"{location} {sentence.format_map(facts)}"
    )


def _known_names(location: object) -> Iterable[str]:
    """Follow the location as far as its names are ours: below that, the client named things."""
    for name in location if isinstance(location, tuple) else ():
        if name not in schemas.KNOWN_NAMES:
            return
        yield str(name)
