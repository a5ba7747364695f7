"""${message}."""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Expand: what the previous version does not know must not hinder it."""
    ${upgrades if upgrades else "pass"}
