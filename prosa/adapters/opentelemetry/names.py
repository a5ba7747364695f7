"""Names of spans, attributes and metrics: Prosa's own, and those of OpenTelemetry's conventions.

Those for language models are in gen_ai_names. docs/telemetry.md lists all of them, and a test
compares. Sources: https://opentelemetry.io/docs/specs/semconv/
"""

from typing import Final

SCOPE: Final = "prosa"
"""The name of what makes spans and metrics."""

# Spans. Those of a turn are called after its steps.
TAKE_TURN: Final = "take turn"
ACCEPT: Final = "accept"
RECOVER: Final = "recover"
RUN: Final = "run"
CLASSIFY: Final = "classify"
GENERATE: Final = "generate"
RECORD: Final = "record"
FAIL: Final = "fail"
SCREEN: Final = "screen"
CONNECT: Final = "connect"
LOAD: Final = "load conversation"
FIND_KEY: Final = "find key"
COMMIT: Final = "commit"
READ_CONVERSATION: Final = "read conversation"
READ_TURN: Final = "read turn"
LIST_CONVERSATIONS: Final = "list conversations"
LIST_MESSAGES: Final = "list messages"
LOAD_ATTEMPT: Final = "load attempt"
SAVE_ATTEMPT: Final = "save attempt"
FIND_DELIVERY: Final = "find delivery"
ADD_DELIVERY: Final = "add delivery"
HAND_ON: Final = "hand on"
TASK: Final = "task"
PUBLISH: Final = "publish"
RELAY: Final = "relay"
CONSUME: Final = "consume"
SEND_REPLY: Final = "send reply"

# Attributes of Prosa's own.
TENANT_ID: Final = "prosa.tenant.id"
TURN_ID: Final = "prosa.turn.id"
TURN_ATTEMPT: Final = "prosa.turn.attempt"
TURN_OUTCOME: Final = "prosa.turn.outcome"
TURN_REPLAYED: Final = "prosa.turn.replayed"
INTENT: Final = "prosa.intent.name"
INTENT_CONFIDENCE: Final = "prosa.intent.confidence"
PROMPT_DIGEST: Final = "prosa.prompt.digest"
DIRECTION: Final = "prosa.passage.direction"
VERDICT: Final = "prosa.verdict"
RULES: Final = "prosa.verdict.rules"
CALL: Final = "prosa.call"
MODEL: Final = "prosa.model"
FALLBACK_MODEL: Final = "prosa.model.fallback"
BREAKER_BEFORE: Final = "prosa.breaker.before"
BREAKER_AFTER: Final = "prosa.breaker.after"
WAITED: Final = "prosa.outbox.seconds"
EVENT_OUTCOME: Final = "prosa.event.outcome"
RECOVERED: Final = "prosa.recovery"

# Events within a span.
FALLBACK: Final = "prosa.fallback"
BREAKER_MOVED: Final = "prosa.breaker.moved"

# Attributes of the conventions.
ERROR_TYPE: Final = "error.type"
DB_SYSTEM: Final = "db.system.name"
HTTP_METHOD: Final = "http.request.method"
HTTP_ROUTE: Final = "http.route"
HTTP_STATUS: Final = "http.response.status_code"
MESSAGING_BATCH: Final = "messaging.batch.message_count"
MESSAGING_DESTINATION: Final = "messaging.destination.name"
MESSAGING_ID: Final = "messaging.message.id"
MESSAGING_OPERATION: Final = "messaging.operation.name"
MESSAGING_SYSTEM: Final = "messaging.system"
MESSAGING_TYPE: Final = "messaging.operation.type"
CLOUD_EVENT_TYPE: Final = "cloudevents.event_type"

# Values.
SQS: Final = "aws_sqs"
COMPLETED: Final = "completed"

# Metrics.
REQUEST_DURATION: Final = "http.server.request.duration"
TURNS: Final = "prosa.turns"
TURN_DURATION: Final = "prosa.turn.duration"
TIME_TO_FIRST_TEXT: Final = "prosa.turn.time_to_first_text"
FALLBACKS: Final = "prosa.model.fallbacks"
BREAKER_STATE: Final = "prosa.breaker.state"
BREAKER_MOVES: Final = "prosa.breaker.moves"
EVENTS: Final = "prosa.outbox.events"
OUTBOX_WAITING: Final = "prosa.outbox.waiting"
OUTBOX_OLDEST: Final = "prosa.outbox.oldest"
OUTBOX_PARKED: Final = "prosa.outbox.parked"
RECOVERED_TURNS: Final = "prosa.turns.recovered"
