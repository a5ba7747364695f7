"""What a language model answered, before it is stored, and how it came about."""

from dataclasses import dataclass
from enum import StrEnum

from prosa.domain.content import Part, Text


class FinishReason(StrEnum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of one or more calls. `input_tokens` includes the cached ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0


class CallPurpose(StrEnum):
    """What a call to a provider was for."""

    CLASSIFY = "classify"
    GENERATE = "generate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a provider that was answered, and what it used."""

    purpose: CallPurpose
    provider: str
    model: str
    usage: TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a language model returned."""

    parts: tuple[Part, ...]
    finish_reason: FinishReason
    provider: str
    """Who answered: `openai`, `llama_cpp`, …, or `prosa` for a reply of the platform's own."""
    model: str
    usage: TokenUsage
    degraded: bool = False
    """Whether it is a canned reply, given because no model could answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptReference:
    """Which prompt produced a reply: `digest` is the SHA-256 of its text, hexadecimal."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How an assistant's message came about."""

    finish_reason: FinishReason
    provider: str
    model: str
    degraded: bool
    usage: TokenUsage
    prompt: PromptReference | None
    """None where no model was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CannedReplies:
    """The platform's own sentences, in the customer's language."""

    refused: str
    """In place of an answer to, or by, something that a guardrail or content filter blocked."""
    unavailable: str
    """In place of an answer where no model is there to give one."""


def refusal(text: str) -> Reply:
    """Make the platform's own reply where nothing else may be said."""
    return _canned(text, FinishReason.CONTENT_FILTER, degraded=False)


def apology(text: str) -> Reply:
    """Make the platform's own reply where no model could answer."""
    return _canned(text, FinishReason.STOP, degraded=True)


def _canned(text: str, finish_reason: FinishReason, *, degraded: bool) -> Reply:
    return Reply(
        parts=(Text(text=text),),
        finish_reason=finish_reason,
        provider="prosa",
        model="canned_reply",
        usage=TokenUsage(),
        degraded=degraded,
    )
