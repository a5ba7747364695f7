"""The tables, for both dialects. Every one carries the tenant, first in each key."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# Identifiers compare byte by byte: a language's collation would be slower, and no more true.
Identifier = Text().with_variant(Text(collation="C"), "postgresql")
Name = Text()
Instant = DateTime(timezone=True).with_variant(String(32), "sqlite")
Json = JSON().with_variant(JSONB(), "postgresql").with_variant(Text(), "sqlite")

conversations = Table(
    "conversations",
    metadata,
    Column("tenant_id", Identifier, nullable=False),
    Column("id", Identifier, nullable=False),
    Column("status", Name, nullable=False),
    Column("owner", Name, nullable=False),
    Column("customer_id", Text),
    Column("channel", Text),
    Column("metadata", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("message_count", Integer, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("running_turn_id", Identifier),
    PrimaryKeyConstraint("tenant_id", "id"),
    # Partial, so that nothing but a search for a customer's conversations can be planned to use it.
    Index(
        None,
        "tenant_id",
        "customer_id",
        "id",
        postgresql_where=text("customer_id is not null"),
        sqlite_where=text("customer_id is not null"),
    ),
)

turns = Table(
    "turns",
    metadata,
    Column("tenant_id", Identifier, nullable=False),
    Column("id", Identifier, nullable=False),
    Column("conversation_id", Identifier, nullable=False),
    Column("status", Name, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("deadline", Instant, nullable=False),
    Column("lease_until", Instant, nullable=False),
    Column("caller_waits", Boolean, nullable=False),
    Column("message_sequence", Integer, nullable=False),
    Column("reply_sequence", Integer),
    Column("intent", Text),
    Column("intent_confidence", Float),
    Column("error_code", Text),
    Column("error_retryable", Boolean),
    Column("created_at", Instant, nullable=False),
    Column("completed_at", Instant),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(
        ["tenant_id", "conversation_id"], ["conversations.tenant_id", "conversations.id"]
    ),
    # What recovery looks for, across tenants: turns whose lease has run out.
    Index(
        "ix_turns_running",
        "lease_until",
        postgresql_where=text("status = 'running'"),
        sqlite_where=text("status = 'running'"),
    ),
)

messages = Table(
    "messages",
    metadata,
    Column("tenant_id", Identifier, nullable=False),
    Column("conversation_id", Identifier, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("id", Identifier, nullable=False),
    Column("turn_id", Identifier, nullable=False),
    Column("role", Name, nullable=False),
    Column("parts", Json, nullable=False),
    Column("provenance", Json),
    Column("metadata", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "conversation_id", "sequence"),
    # Without the tenant, or a plan made while the table was small could read all of a tenant's.
    UniqueConstraint("id"),
    ForeignKeyConstraint(
        ["tenant_id", "conversation_id"], ["conversations.tenant_id", "conversations.id"]
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("tenant_id", Identifier, nullable=False),
    Column("turn_id", Identifier, nullable=False),
    Column("number", Integer, nullable=False),
    Column("found", Json, nullable=False),
    PrimaryKeyConstraint("tenant_id", "turn_id", "number"),
)

usage = Table(
    "usage",
    metadata,
    Column("tenant_id", Identifier, nullable=False),
    Column("turn_id", Identifier, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("call", Integer, nullable=False),
    Column("purpose", Name, nullable=False),
    Column("provider", Name, nullable=False),
    Column("model", Name, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cached_input_tokens", Integer, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "turn_id", "attempt", "call"),
    Index(None, "tenant_id", "recorded_at"),
)

requests = Table(
    "requests",
    metadata,
    Column("tenant_id", Identifier, nullable=False),
    Column("caller", Text, nullable=False),
    Column("operation", Name, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("resource_id", Identifier, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "caller", "operation", "key"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("tenant_id", Identifier, nullable=False),
    Column("conversation_id", Identifier, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("event_id", Identifier, nullable=False),
    Column("type", Name, nullable=False),
    # Text, so that what is published is to the letter what was written when it happened.
    Column("envelope", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("published_at", Instant),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("next_try_at", Instant),
    Column("parked_at", Instant),
    Column("last_error", Text),
    PrimaryKeyConstraint("tenant_id", "conversation_id", "sequence"),
    UniqueConstraint("event_id"),
    # What the relay looks for: the few rows that are not published yet.
    Index(
        "ix_outbox_unpublished",
        "created_at",
        postgresql_where=text("published_at is null"),
        sqlite_where=text("published_at is null"),
    ),
)

# Which replies their channel's outlet took.
deliveries = Table(
    "deliveries",
    metadata,
    Column("tenant_id", Identifier, nullable=False),
    Column("reply_id", Identifier, nullable=False),
    Column("delivered_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant_id", "reply_id"),
)
