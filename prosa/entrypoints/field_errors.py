"""What is wrong with fields that came in, in our words: pydantic's findings without the input."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import takewhile

from prosa.domain import field_rules as rules
from prosa.entrypoints import customer_fields

THE_BODY = "the body"
"""What a finding is about that names no field of ours."""

_WRONG_TYPE = "wrong_type"
_WRONG_FORM = "wrong_form"
_NO_NUMBER = (_WRONG_TYPE, "must be a whole number")
_NO_OBJECT = (_WRONG_TYPE, "must be an object")
_NO_TIME = (_WRONG_FORM, "must be a time with its zone (RFC 3339)")
_NOT_ALLOWED = ("not_allowed", "must be {expected}")

_FINDINGS = {
    "missing": ("missing", "is required"),
    "json_invalid": ("malformed_json", "is no JSON"),
    "string_type": (_WRONG_TYPE, "must be a string"),
    "string_unicode": ("invalid_text", rules.NO_SURROGATES),
    "string_too_short": ("too_short", rules.NOT_EMPTY),
    "string_too_long": ("too_long", "may have at most {max_length} characters"),
    "too_long": ("too_long", "may have at most {max_length} entries"),
    "dict_type": _NO_OBJECT,
    "model_type": _NO_OBJECT,
    "int_parsing": _NO_NUMBER,
    "int_type": _NO_NUMBER,
    "greater_than_equal": ("out_of_range", "must be at least {ge}"),
    "less_than_equal": ("out_of_range", "must be at most {le}"),
    "literal_error": _NOT_ALLOWED,
    "enum": _NOT_ALLOWED,
    "datetime_type": _NO_TIME,
    "datetime_parsing": _NO_TIME,
    "datetime_from_date_parsing": _NO_TIME,
    "timezone_aware": _NO_TIME,
    customer_fields.BLANK_TEXT: ("blank_text", rules.NOT_BLANK),
}
"""How a finding of pydantic is told, by its type: our code, and the end of a sentence."""

_PATTERNS = {
    customer_fields.NO_NUL: ("nul_character", rules.NO_NUL),
    customer_fields.CONVERSATION_ID: (_WRONG_FORM, "must be `conv_` and 32 hexadecimal digits"),
    customer_fields.MESSAGE_ID: (_WRONG_FORM, "must be `msg_` and 32 hexadecimal digits"),
    customer_fields.KEY: (_WRONG_FORM, rules.KEY_FORM),
}
_OTHERWISE = ("invalid", "is not valid")


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with one part of a request: where, what (for programs), what (for people)."""

    location: str
    """`body.text`, `query.limit`, …; of names that we know, never the client's own."""
    code: str
    detail: str


def field_error(
    finding: Mapping[str, object], known: Collection[str], allowed: Mapping[str, Collection[str]]
) -> FieldError:
    """Tell a finding by the names that are ours: below those, the sender named things.

    `known` has all names that may be told; `allowed` those that each part may have, by its
    location.
    """
    location = finding["loc"]
    names = tuple(map(str, location)) if isinstance(location, tuple) else ()
    ours = tuple(takewhile(known.__contains__, names))
    place = ".".join(ours) or THE_BODY
    if finding["type"] == "extra_forbidden":
        return _unknown_field(place, ".".join(names[:-1]), allowed)
    code, sentence = _said(finding)
    subject = place if ours == names or not ours else f"{_each(names)} of {place}"
    return FieldError(location=place, code=code, detail=f"{subject} {sentence}")


def _said(finding: Mapping[str, object]) -> tuple[str, str]:
    context = finding.get("ctx")
    facts = context if isinstance(context, Mapping) else {}
    code, sentence = _FINDINGS.get(str(finding["type"]), _OTHERWISE)
    if "pattern" in facts:
        code, sentence = _PATTERNS.get(str(facts["pattern"]), _OTHERWISE)
    return code, sentence.format_map(facts)


def _each(names: tuple[str, ...]) -> str:
    return "each key" if names[-1] == "[key]" else "each value"


def _unknown_field(place: str, whole: str, allowed: Mapping[str, Collection[str]]) -> FieldError:
    what = "has a field that is not known here" if place == whole else "is not known here"
    names = ", ".join(allowed[whole])
    return FieldError(
        location=place, code="unknown_field", detail=f"{place} {what}; {whole} may have {names}"
    )
