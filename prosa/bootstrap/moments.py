"""The present instant, as everything here is given it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Tell the present instant, in UTC."""
    return datetime.now(UTC)
