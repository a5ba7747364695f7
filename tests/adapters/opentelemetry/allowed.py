"""What may be in telemetry: every name, and for each what its value may be."""

import re
from collections.abc import Iterator

from prosa.adapters.opentelemetry.catalog import METRICS, SPANS
from tests.adapters.opentelemetry.seeing import Seen, attributes_of

IDENTIFIER = r"(conv|turn|msg|evt)_[0-9a-f]{32}"
WORD = r"[a-z_]+(, [a-z_]+)*"
ALLOWED: dict[str, str] = {
    "db.system.name": r"sqlite",
    "error.type": r"[A-Za-z_]+|[45]\d\d",
    "http.request.method": r"GET|POST|_OTHER",
    "http.response.status_code": r"[2-5]\d\d",
    "http.route": r"(/[a-z0-9_{}]+)+",
    "cloudevents.event_type": r"[a-z.]+\.v1",
    "messaging.batch.message_count": r"\d+",
    "messaging.destination.name": r"default",
    "messaging.message.id": IDENTIFIER,
    "messaging.operation.name": r"publish",
    "messaging.operation.type": r"send",
    "messaging.system": r"log",
    "gen_ai.conversation.id": IDENTIFIER,
    "gen_ai.operation.name": r"chat",
    "gen_ai.output.type": r"text|json",
    "gen_ai.prompt.name": WORD,
    "gen_ai.prompt.version": r"\d+",
    "gen_ai.provider.name": WORD,
    "gen_ai.request.max_tokens": r"\d+",
    "gen_ai.request.model": WORD,
    "gen_ai.request.stream": r"True|False",
    "gen_ai.request.temperature": r"[\d.]+",
    "gen_ai.response.finish_reasons": r"\('(stop|error)',\)",
    "gen_ai.response.model": WORD,
    "gen_ai.response.time_to_first_chunk": r"[\d.e-]+",
    "gen_ai.token.type": r"input|output",
    "gen_ai.usage.cache_read.input_tokens": r"\d+",
    "gen_ai.usage.input_tokens": r"\d+",
    "gen_ai.usage.output_tokens": r"\d+",
    "prosa.breaker.after": WORD,
    "prosa.breaker.before": WORD,
    "prosa.call": r"first|retry|fallback",
    "prosa.event.outcome": WORD,
    "prosa.intent.confidence": r"[\d.]+",
    "prosa.intent.name": WORD,
    "prosa.model": WORD,
    "prosa.passage.direction": r"inbound|outbound",
    "prosa.prompt.digest": r"[0-9a-f]{64}",
    "prosa.recovery": WORD,
    "prosa.tenant.id": r"default",
    "prosa.turn.attempt": r"\d+",
    "prosa.turn.id": IDENTIFIER,
    "prosa.turn.outcome": WORD,
    "prosa.turn.replayed": r"True|False",
    "prosa.verdict": r"allowed|redacted|blocked",
    "prosa.verdict.rules": r"\('[a-z_]+',\)",
}
"""Every attribute that a span, an event of one, or a metric may have, and what its value may be."""


NAMES_OF_SPANS = {entry.name for entry in SPANS}


def general(name: str) -> str:
    """Give a span's name as the catalog has it."""
    name = re.sub(r"^(GET|POST)( /[a-z0-9/_{}]+)?$", "POST {route}", name)
    name = re.sub(r"^publish conversation\.[a-z.]+\.v1$", "publish {type}", name)
    name = re.sub(r"^task (classify|generate|record|fail)$", "task {step}", name)
    return name.replace("chat scripted", "chat {model}")


def values_of(seen: Seen) -> Iterator[tuple[str, object]]:
    """Give every attribute of every span, event, link and metric."""
    for span in seen.spans:
        yield from attributes_of(span).items()
        for event in span.events:
            yield from (event.attributes or {}).items()
        for link in span.links:
            yield from (link.attributes or {}).items()
    for points in seen.metrics().values():
        for point in points:
            yield from point.attributes.items()


def strange_in(seen: Seen) -> set[tuple[str, object]]:
    """Give what is not on a list: attributes by name and value, spans and metrics by name."""
    strange = {
        (name, value)
        for name, value in values_of(seen)
        if name not in ALLOWED or not re.fullmatch(ALLOWED[name], str(value))
    }
    spans = {general(span.name) for span in seen.spans} - NAMES_OF_SPANS
    metrics = set(seen.metrics()) - {metric.name for metric in METRICS}
    return strange | {("span", name) for name in spans} | {("metric", name) for name in metrics}
