"""Conversations, their turns and messages, attempts, usage, idempotency keys and the outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

# Written out here, not taken from tables.py: a migration stays what it was.
IDENTIFIER = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql").with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "attempts",
        sa.Column("tenant_id", IDENTIFIER, nullable=False),
        sa.Column("turn_id", IDENTIFIER, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("found", JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "turn_id", "number", name=op.f("pk_attempts")),
    )
    op.create_table(
        "conversations",
        sa.Column("tenant_id", IDENTIFIER, nullable=False),
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("metadata", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("event_count", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("running_turn_id", IDENTIFIER, nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_conversations")),
    )
    op.create_index(
        op.f("ix_conversations_tenant_id_customer_id_id"),
        "conversations",
        ["tenant_id", "customer_id", "id"],
        unique=False,
        postgresql_where=sa.text("customer_id is not null"),
        sqlite_where=sa.text("customer_id is not null"),
    )
    op.create_table(
        "outbox",
        sa.Column("tenant_id", IDENTIFIER, nullable=False),
        sa.Column("conversation_id", IDENTIFIER, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("event_id", IDENTIFIER, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("published_at", INSTANT, nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_try_at", INSTANT, nullable=True),
        sa.Column("parked_at", INSTANT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "conversation_id", "sequence", name=op.f("pk_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_outbox_event_id")),
    )
    op.create_index(
        "ix_outbox_unpublished",
        "outbox",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("published_at is null"),
        sqlite_where=sa.text("published_at is null"),
    )
    op.create_table(
        "requests",
        sa.Column("tenant_id", IDENTIFIER, nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("resource_id", IDENTIFIER, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "caller", "operation", "key", name=op.f("pk_requests")
        ),
    )
    op.create_table(
        "usage",
        sa.Column("tenant_id", IDENTIFIER, nullable=False),
        sa.Column("turn_id", IDENTIFIER, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("call", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_input_tokens", sa.Integer(), nullable=False),
        sa.Column("recorded_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "turn_id", "attempt", "call", name=op.f("pk_usage")),
    )
    op.create_index(
        op.f("ix_usage_tenant_id_recorded_at"), "usage", ["tenant_id", "recorded_at"], unique=False
    )
    op.create_table(
        "messages",
        sa.Column("tenant_id", IDENTIFIER, nullable=False),
        sa.Column("conversation_id", IDENTIFIER, nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("turn_id", IDENTIFIER, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("parts", JSON, nullable=False),
        sa.Column("provenance", JSON, nullable=True),
        sa.Column("metadata", JSON, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "conversation_id"],
            ["conversations.tenant_id", "conversations.id"],
            name=op.f("fk_messages_conversations"),
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "conversation_id", "sequence", name=op.f("pk_messages")
        ),
        sa.UniqueConstraint("id", name=op.f("uq_messages_id")),
    )
    op.create_table(
        "turns",
        sa.Column("tenant_id", IDENTIFIER, nullable=False),
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("conversation_id", IDENTIFIER, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("deadline", INSTANT, nullable=False),
        sa.Column("lease_until", INSTANT, nullable=False),
        sa.Column("caller_waits", sa.Boolean(), nullable=False),
        sa.Column("message_sequence", sa.Integer(), nullable=False),
        sa.Column("reply_sequence", sa.Integer(), nullable=True),
        sa.Column("intent", sa.Text(), nullable=True),
        sa.Column("intent_confidence", sa.Float(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_retryable", sa.Boolean(), nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("completed_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "conversation_id"],
            ["conversations.tenant_id", "conversations.id"],
            name=op.f("fk_turns_conversations"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_turns")),
    )
    op.create_index(
        "ix_turns_running",
        "turns",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
        sqlite_where=sa.text("status = 'running'"),
    )
