"""OpenTelemetry's names for what is asked of language models, in the two versions that are in use.

All of them are "Development" and have moved before. Source:
https://github.com/open-telemetry/semantic-conventions-genai
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CONVERSATION_ID: Final = "gen_ai.conversation.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
CACHED_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
MAX_TOKENS: Final = "gen_ai.request.max_tokens"
OPERATION: Final = "gen_ai.operation.name"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
OUTPUT_TYPE: Final = "gen_ai.output.type"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
STREAM: Final = "gen_ai.request.stream"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TEMPERATURE: Final = "gen_ai.request.temperature"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
MODALITY: Final = "gen_ai.token.modality"
TYPE_OF_TOKENS: Final = "gen_ai.token.type"

CHAT: Final = "chat"
"""The one operation so far."""

OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
LATEST: Final = "gen_ai_latest_experimental"
"""What the variable lists where the newest names are wanted."""

_PROVIDERS: Final = {"bedrock": "aws.bedrock", "local": "llama_cpp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GenAIMetrics:
    """The names of the metrics, which are what differs; attributes are the same in both."""

    duration: str
    time_to_first_chunk: str
    input_tokens: str
    output_tokens: str
    cached_input_tokens: str | None
    """None where the convention does not count them."""
    typed_tokens: bool
    """Whether input and output are one metric, told apart by `gen_ai.token.type`."""


USUAL: Final = GenAIMetrics(
    duration="gen_ai.client.operation.duration",
    time_to_first_chunk="gen_ai.client.operation.time_to_first_chunk",
    input_tokens="gen_ai.client.token.usage",
    output_tokens="gen_ai.client.token.usage",
    cached_input_tokens=None,
    typed_tokens=True,
)
"""What dashboards know: the conventions up to 1.37."""

NEWEST: Final = GenAIMetrics(
    duration="gen_ai.client.inference.duration",
    time_to_first_chunk="gen_ai.client.inference.time_to_first_chunk",
    input_tokens="gen_ai.client.inference.usage.input_tokens",
    output_tokens="gen_ai.client.inference.usage.output_tokens",
    cached_input_tokens="gen_ai.client.inference.usage.cache_read.input_tokens",
    typed_tokens=False,
)
"""The conventions as they are now."""

DURATION_BUCKETS: Final = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28),
    *(2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
"""Seconds, as the conventions advise."""

TOKEN_BUCKETS: Final = tuple(4**power for power in range(14))


def metrics_by(environment: Mapping[str, str] = os.environ) -> GenAIMetrics:
    """Choose by OTEL_SEMCONV_STABILITY_OPT_IN, a list that others read, too."""
    wanted = (word.strip() for word in environment.get(OPT_IN, "").split(","))
    return NEWEST if LATEST in wanted else USUAL


def provider_and_model(name: str) -> tuple[str, str]:
    """Read a model's name, as PROSA_MODELS writes it: who provides it, and what they call it."""
    adapter, _, model = name.partition(":")
    return _PROVIDERS.get(adapter, adapter), model or adapter
