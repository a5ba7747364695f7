"""Idempotency keys."""

from typing import Any

from sqlalchemy import Select, bindparam, select

from prosa.adapters.sql.tables import requests


def find() -> Select[Any]:
    """Select what a key was claimed for."""
    return select(requests.c.fingerprint, requests.c.resource_id, requests.c.created_at).where(
        requests.c.tenant_id == bindparam("tenant_id"),
        requests.c.caller == bindparam("caller"),
        requests.c.operation == bindparam("operation"),
        requests.c.key == bindparam("request_key"),
    )
