"""Idempotency keys: what makes two requests the same."""

import hashlib
import json
from collections.abc import Mapping

from prosa.application.ports.request_log import LoggedRequest
from prosa.domain.errors import KeyReused

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=dict)
"""With `default`, any mapping is written as a dictionary is."""

Field = str | None | Mapping[str, str]


def fingerprint(**fields: Field) -> str:
    """Digest what a client asked for, as it came: SHA-256 of canonical JSON, hexadecimal."""
    canonical = _CANONICAL.encode(fields)
    return hashlib.sha256(canonical.encode()).hexdigest()


def require_same_request(logged: LoggedRequest, digest: str) -> None:
    """Raise KeyReused where the key was claimed for another request."""
    if logged.fingerprint != digest:
        raise KeyReused
