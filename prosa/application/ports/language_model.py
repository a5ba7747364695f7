"""The language model: instructions and a conversation in, a reply out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from prosa.domain.errors import PortFailure
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.message import Utterance
from prosa.domain.reply import Reply

OnText = Callable[[str], Awaitable[None]]
"""Called with each piece of text as the model produces it, in order."""

CALLS_PER_ATTEMPT = 4
"""An attempt at a turn makes at most this many calls to providers."""


class CallBudget:
    """How many calls to providers an attempt may still make; shared by all its steps."""

    def __init__(self, calls: int = CALLS_PER_ATTEMPT) -> None:
        self.remaining = calls

    def spend(self) -> None:
        """Take one call. Raises ModelUnavailable where none is left."""
        self.require()
        self.remaining -= 1

    def require(self) -> None:
        """Take nothing. Raises ModelUnavailable where no call is left."""
        if self.remaining == 0:
            raise ModelUnavailable("this attempt has made all the calls that it may make")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFormat:
    """The reply must be JSON that fits `schema`, a JSON Schema document as text."""

    name: str
    schema: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What a model is asked. Each adapter spends one call of `budget` per request it sends.

    `turn_id` says for which turn, where it is for one, to providers that keep records by it.
    `first_text_by` and `start_by` are set for wrappers where a chain of models shares the time: by
    when a streamed answer has to begin, and after when no call may start.
    """

    tenant_id: TenantId
    turn_id: TurnId | None = None
    instructions: str
    utterances: tuple[Utterance, ...]
    deadline: datetime
    max_output_tokens: int
    temperature: float
    budget: CallBudget = field(default_factory=CallBudget)
    answer_format: AnswerFormat | None = None
    first_text_by: datetime | None = None
    start_by: datetime | None = None


class LanguageModel(Protocol):
    """A model that answers."""

    @property
    def name(self) -> str:
        """Provider and model, as `PROSA_MODELS` writes them: `openai:gpt-4o-mini`."""

    @property
    def context_tokens(self) -> int:
        """How many tokens instructions, conversation and reply may have together."""

    @property
    def needs_alternating_roles(self) -> bool:
        """Whether it refuses two messages of one role in a row."""

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; with `on_text`, also hand over the text piece by piece while it is produced.

        The pieces joined are the reply's text. Raises a LanguageModelError and nothing else of the
        provider's. Being cancelled, it ends the request and lets go of all that it holds.
        """


class LanguageModelError(PortFailure):
    """The model gave no usable reply."""


class ModelUnavailable(LanguageModelError):
    """It could not be reached, or it failed (5xx)."""

    transient: ClassVar[bool] = True


class ModelRateLimited(LanguageModelError):
    """It takes no more requests for now. `retry_after`: seconds, where it said so."""

    transient: ClassVar[bool] = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelTimedOut(LanguageModelError):
    """It did not answer in time."""

    transient: ClassVar[bool] = True


class ModelReplyMalformed(LanguageModelError):
    """Its answer was empty, broken off or not what its interface promises."""

    transient: ClassVar[bool] = True


class CircuitOpen(LanguageModelError):
    """It has failed too often of late, so it is not asked. `retry_after`: seconds until it is."""

    transient: ClassVar[bool] = True

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ContextTooLong(LanguageModelError):
    """Instructions and conversation do not fit in its context."""


class ContentFiltered(LanguageModelError):
    """Its provider's content filter refused the conversation or the answer."""


class ModelRejectedRequest(LanguageModelError):
    """It refuses this request and would refuse it again."""


class ModelQuotaExhausted(LanguageModelError):
    """The account behind it has no credit left."""


class ModelMisconfigured(LanguageModelError):
    """Wrong key, no permission, or no such model."""
