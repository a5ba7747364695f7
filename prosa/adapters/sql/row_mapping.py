"""Domain values to rows and back, by hand: what is stored is decided here and nowhere else."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, assert_never

import orjson

from prosa.adapters import event_format
from prosa.adapters.sql.dialect import Json, Row, SqlDialect
from prosa.application.ports.request_log import LoggedRequest
from prosa.domain.content import Part, Text, ToolCall, ToolResult
from prosa.domain.conversation_header import ConversationHeader, ConversationStatus, Owner
from prosa.domain.events import Event
from prosa.domain.identifiers import ConversationId, MessageId, TenantId, TurnId
from prosa.domain.intent import Intent
from prosa.domain.message import Message, Role
from prosa.domain.reply import (
    Call,
    CallPurpose,
    FinishReason,
    PromptReference,
    Provenance,
    Reply,
    TokenUsage,
)
from prosa.domain.turn import Attempt, Turn, TurnError, TurnStatus
from prosa.domain.verdict import Direction, Finding

HEADER_COLUMNS = 13
TURN_COLUMNS = 16
"""Of `conversations`, and of `turns` behind the tenant."""

PLACE_OF_KEY = 3
"""Where a row of `requests` has its key."""


def as_instant(value: datetime | str) -> datetime:
    """Read an instant from a column or from JSON."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def as_json(value: Json) -> Json:
    """Read JSON: a column is text, and JSON inside other JSON came with its outside."""
    return orjson.loads(value) if isinstance(value, str) else value


# Conversations


def conversation_row(header: ConversationHeader, dialect: SqlDialect) -> Row:
    """In the order of the table's columns; the version is the one after this save."""
    return (
        header.tenant_id,
        header.id,
        header.status.value,
        header.owner.value,
        header.customer_id,
        header.channel,
        dialect.json(dict(header.metadata)),
        dialect.instant(header.created_at),
        dialect.instant(header.updated_at),
        header.message_count,
        header.event_count,
        header.version + 1,
        header.running_turn_id,
    )


def header_of(row: Sequence[Any]) -> ConversationHeader:
    """From the table's columns, in their order."""
    return ConversationHeader(
        tenant_id=TenantId(row[0]),
        id=ConversationId(row[1]),
        status=ConversationStatus(row[2]),
        owner=Owner(row[3]),
        customer_id=row[4],
        channel=row[5],
        metadata=as_json(row[6]),
        created_at=as_instant(row[7]),
        updated_at=as_instant(row[8]),
        message_count=row[9],
        event_count=row[10],
        version=row[11],
        running_turn_id=row[12],
    )


# Messages


def message_row(message: Message, tenant_id: TenantId, dialect: SqlDialect) -> Row:
    """In the order of the table's columns."""
    provenance = message.provenance
    return (
        tenant_id,
        message.conversation_id,
        message.sequence,
        message.id,
        message.turn_id,
        message.role.value,
        dialect.json([_part_json(part) for part in message.parts]),
        None if provenance is None else dialect.json(_provenance_json(provenance)),
        dialect.json(dict(message.metadata)),
        dialect.instant(message.created_at),
    )


def message_of(values: Sequence[Any]) -> Message:
    """From the columns behind the tenant, in their order, of a row or of a JSON array."""
    conversation_id, sequence, message_id, turn_id, role, parts, provenance, metadata, at = values
    return Message(
        id=MessageId(message_id),
        conversation_id=ConversationId(conversation_id),
        turn_id=TurnId(turn_id),
        sequence=sequence,
        role=Role(role),
        parts=tuple(_part_of(part) for part in as_json(parts)),
        created_at=as_instant(at),
        provenance=None if provenance is None else _provenance_of(as_json(provenance)),
        metadata=as_json(metadata),
    )


def _part_json(part: Part) -> Json:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case ToolCall():
            return {
                "type": "tool_call",
                "id": part.id,
                "name": part.name,
                "arguments": part.arguments,
            }
        case ToolResult():
            return {"type": "tool_result", "call_id": part.call_id, "content": part.content}
        case _:
            assert_never(part)


def _part_of(value: Json) -> Part:
    match value["type"]:
        case "text":
            return Text(text=value["text"])
        case "tool_call":
            return ToolCall(id=value["id"], name=value["name"], arguments=value["arguments"])
        case _:
            return ToolResult(call_id=value["call_id"], content=value["content"])


def _provenance_json(provenance: Provenance) -> Json:
    return {
        "finish_reason": provenance.finish_reason.value,
        "provider": provenance.provider,
        "model": provenance.model,
        "degraded": provenance.degraded,
        "usage": _usage_json(provenance.usage),
        "prompt": _prompt_json(provenance.prompt),
    }


def _provenance_of(value: Json) -> Provenance:
    return Provenance(
        finish_reason=FinishReason(value["finish_reason"]),
        provider=value["provider"],
        model=value["model"],
        degraded=value["degraded"],
        usage=TokenUsage(**value["usage"]),
        prompt=_prompt_of(value["prompt"]),
    )


def _usage_json(usage: TokenUsage) -> Json:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
    }


def _prompt_json(prompt: PromptReference | None) -> Json:
    return prompt and {
        "name": prompt.name,
        "version": prompt.version,
        "digest": prompt.digest,
    }


def _prompt_of(value: Json) -> PromptReference | None:
    return None if value is None else PromptReference(**value)


# Turns


def turn_row(turn: Turn, tenant_id: TenantId, dialect: SqlDialect) -> Row:
    """In the order of the table's columns."""
    intent, error = turn.intent, turn.error
    return (
        tenant_id,
        turn.id,
        turn.conversation_id,
        turn.status.value,
        turn.attempt,
        turn.failures,
        dialect.instant(turn.deadline),
        dialect.instant(turn.lease_until),
        turn.caller_waits,
        turn.message.sequence,
        turn.reply.sequence if turn.reply else None,
        intent.name if intent else None,
        intent.confidence if intent else None,
        error.code if error else None,
        error.retryable if error else None,
        dialect.instant(turn.created_at),
        dialect.instant(turn.completed_at),
    )


def turn_of(values: Sequence[Any], message: Sequence[Any], reply: Sequence[Any] | None) -> Turn:
    """From the columns behind the tenant, in their order, and those of its two messages."""
    return Turn(
        id=TurnId(values[0]),
        conversation_id=ConversationId(values[1]),
        status=TurnStatus(values[2]),
        attempt=values[3],
        failures=values[4],
        deadline=as_instant(values[5]),
        lease_until=as_instant(values[6]),
        caller_waits=bool(values[7]),
        message=message_of(message),
        reply=None if reply is None else message_of(reply),
        # Postgres writes 1.0 as 1 in JSON, and a replay has to have the bytes of the first answer.
        intent=None
        if values[10] is None
        else Intent(name=values[10], confidence=float(values[11])),
        error=None
        if values[12] is None
        else TurnError(code=values[12], retryable=bool(values[13])),
        created_at=as_instant(values[14]),
        completed_at=None if values[15] is None else as_instant(values[15]),
    )


# Attempts and what they used


def attempt_row(attempt: Attempt, dialect: SqlDialect) -> Row:
    """In the order of the table's columns."""
    return attempt.tenant_id, attempt.turn_id, attempt.number, dialect.json(_found_json(attempt))


def found_of(value: str | None) -> dict[str, Any]:
    """Read what the steps of an attempt have saved, as keyword arguments of Attempt."""
    if value is None:
        return {}
    found = as_json(value)
    return {
        "intent": None if found["intent"] is None else Intent(**found["intent"]),
        "findings": tuple(_finding_of(finding) for finding in found["findings"]),
        "prompt": _prompt_of(found["prompt"]),
        "reply": None if found["reply"] is None else _reply_of(found["reply"]),
        "calls": tuple(_call_of(call) for call in found["calls"]),
        "calls_made": found["calls_made"],
        "said": found["said"],
    }


def usage_rows(attempt: Attempt, recorded_at: datetime, dialect: SqlDialect) -> list[Row]:
    """One row a call, in the order of the table's columns."""
    return [
        (
            attempt.tenant_id,
            attempt.turn_id,
            attempt.number,
            number,
            call.purpose.value,
            call.provider,
            call.model,
            call.usage.input_tokens,
            call.usage.output_tokens,
            call.usage.cached_input_tokens,
            dialect.instant(recorded_at),
        )
        for number, call in enumerate(attempt.calls, 1)
    ]


def _found_json(attempt: Attempt) -> Json:
    intent, reply = attempt.intent, attempt.reply
    return {
        "intent": intent and {"name": intent.name, "confidence": intent.confidence},
        "findings": [
            {"direction": found.direction.value, "rule": found.rule, "blocked": found.blocked}
            for found in attempt.findings
        ],
        "prompt": _prompt_json(attempt.prompt),
        "reply": reply and _reply_json(reply),
        "calls": [_call_json(call) for call in attempt.calls],
        "calls_made": attempt.calls_made,
        "said": attempt.said,
    }


def _finding_of(value: Json) -> Finding:
    direction = Direction(value["direction"])
    return Finding(direction=direction, rule=value["rule"], blocked=value["blocked"])


def _reply_json(reply: Reply) -> Json:
    return {
        "parts": [_part_json(part) for part in reply.parts],
        "finish_reason": reply.finish_reason.value,
        "provider": reply.provider,
        "model": reply.model,
        "usage": _usage_json(reply.usage),
        "degraded": reply.degraded,
    }


def _reply_of(value: Json) -> Reply:
    return Reply(
        parts=tuple(_part_of(part) for part in value["parts"]),
        finish_reason=FinishReason(value["finish_reason"]),
        provider=value["provider"],
        model=value["model"],
        usage=TokenUsage(**value["usage"]),
        degraded=value["degraded"],
    )


def _call_json(call: Call) -> Json:
    return {
        "purpose": call.purpose.value,
        "provider": call.provider,
        "model": call.model,
        "usage": _usage_json(call.usage),
    }


def _call_of(value: Json) -> Call:
    return Call(
        purpose=CallPurpose(value["purpose"]),
        provider=value["provider"],
        model=value["model"],
        usage=TokenUsage(**value["usage"]),
    )


# Requests and events


def request_row(request: LoggedRequest, tenant_id: TenantId, dialect: SqlDialect) -> Row:
    """In the order of the table's columns."""
    return (
        tenant_id,
        request.key.caller,
        request.key.operation,
        request.key.key,
        request.fingerprint,
        request.resource_id,
        dialect.instant(request.created_at),
    )


def outbox_row(event: Event, dialect: SqlDialect) -> Row:
    """In the order of the table's columns, as far as they are known when it happens."""
    return (
        event.tenant_id,
        event.conversation_id,
        event.sequence,
        event.id,
        event_format.type_of(event),
        event_format.envelope_of(event),
        dialect.instant(event.occurred_at),
    )
