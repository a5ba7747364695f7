"""The `Idempotency-Key` header: read, or made where the client sent none."""

import os
import re
from collections.abc import Sequence

from prosa.domain.field_rules import is_idempotency_key
from prosa.entrypoints.http.problem_table import RequestRefusedError, refusal
from prosa.entrypoints.http.request_facts import RequestFacts

# A string of RFC 9651 (structured fields): only the quote and the backslash are escaped.
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_ESCAPED = re.compile(r'\\(["\\])')


def idempotency_key_of(facts: RequestFacts) -> str:
    """Read a request's key, as `read_idempotency_key`, and have its answer say it."""
    key = read_idempotency_key(facts.lines(b"idempotency-key"))
    facts.idempotency_key = key
    return key


def read_idempotency_key(sent: Sequence[str]) -> str:
    """Read the key from all lines of the header; a client that sends none gets one made for it.

    A key is 1 to 255 printable ASCII characters, as a quoted structured-field string or bare.
    Raises RequestRefusedError (`invalid_idempotency_key`).
    """
    if not sent:
        return os.urandom(16).hex()
    key = _unquoted(sent[0]) if len(sent) == 1 else ""
    if not is_idempotency_key(key):
        raise RequestRefusedError(refusal("invalid_idempotency_key"))
    return key


def _unquoted(sent: str) -> str:
    """Take the quotes off; what begins with one and is no string is no key either."""
    if not sent.startswith('"'):
        return sent
    quoted = _QUOTED.fullmatch(sent)
    return _ESCAPED.sub(r"\1", quoted[1]) if quoted else ""
