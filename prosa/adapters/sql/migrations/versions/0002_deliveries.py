"""Which replies were delivered to their channel."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Written out here, not taken from tables.py: a migration stays what it was.
IDENTIFIER = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Make the table; what is there stays as it is."""
    op.create_table(
        "deliveries",
        sa.Column("tenant_id", IDENTIFIER, nullable=False),
        sa.Column("reply_id", IDENTIFIER, nullable=False),
        sa.Column("delivered_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "reply_id", name=op.f("pk_deliveries")),
    )
