"""Models by script, in virtual time, and chains of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from prosa.adapters.in_memory.language_model import Hang, ScriptedLanguageModel, ScriptedReply, Step
from prosa.adapters.resilience.circuit_breaker import BreakerMoved, BreakerView, CircuitBreaker
from prosa.adapters.resilience.language_model import (
    CircuitBrokenLanguageModel,
    FallbackLanguageModel,
    RetryingLanguageModel,
)
from prosa.adapters.resilience.retry_budget import RetryBudget
from prosa.application.ports.language_model import (
    CallBudget,
    LanguageModelError,
    ModelRequest,
    ModelUnavailable,
    OnText,
)
from prosa.domain.content import Text
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.message import Role, Utterance
from prosa.domain.reply import Reply
from prosa.testing.virtual_time import clock, timer

FAILURES = 5
REST = 30.0
DOWN = ModelUnavailable("it is down")
HANG = Hang()


def utterances(*texts: str) -> tuple[Utterance, ...]:
    """Make a conversation in which customer and assistant take turns."""
    roles = (Role.USER, Role.ASSISTANT)
    return tuple(
        Utterance(role=roles[number % 2], parts=(Text(text=text),))
        for number, text in enumerate(texts)
    )


def asked(
    *texts: str,
    seconds: float = 20.0,
    budget: CallBudget | None = None,
    max_output_tokens: int = 10,
) -> ModelRequest:
    """Make a request."""
    return ModelRequest(
        tenant_id=DEFAULT_TENANT,
        instructions="",
        utterances=utterances(*(texts or ("Oi",))),
        deadline=clock() + timedelta(seconds=seconds),
        max_output_tokens=max_output_tokens,
        temperature=0.0,
        budget=budget or CallBudget(),
    )


def says(text: str, *, after: float = 0.0, cut_after: int | None = None) -> ScriptedReply:
    """Say a text after some seconds; with `cut_after`, break off after so many characters."""
    return ScriptedReply(parts=(Text(text=text),), latency=after, cut_after=cut_after)


class Scripted(ScriptedLanguageModel):
    """A scripted model with a name; `asked_at` are the seconds at which it was asked."""

    def __init__(
        self,
        name: str,
        *script: Step,
        default: Step = "sim",
        context_tokens: int = 1_000,
        alternating: bool = False,
    ) -> None:
        super().__init__(
            script,
            default=default,
            clock=clock,
            context_tokens=context_tokens,
            needs_alternating_roles=alternating,
        )
        self.asked_at: list[float] = []
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        self.asked_at.append(timer())
        return await super().generate(request, on_text)

    @property
    def calls(self) -> int:
        return len(self.requests)


@dataclass
class Chain:
    """A chain with everything around each model, and what became of it."""

    models: tuple[Scripted, ...]
    retries: RetryBudget = field(default_factory=RetryBudget)
    moves: list[BreakerMoved] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.breakers = [
            CircuitBreaker(
                model.name,
                failures=FAILURES,
                rest_seconds=REST,
                clock=clock,
                timer=timer,
                on_move=self.moves.append,
            )
            for model in self.models
        ]
        broken = [
            CircuitBrokenLanguageModel(model, breaker, clock=clock)
            for model, breaker in zip(self.models, self.breakers, strict=True)
        ]
        self.model = FallbackLanguageModel(
            [RetryingLanguageModel(model, self.retries, clock=clock) for model in broken],
            clock=clock,
        )

    @property
    def calls(self) -> list[int]:
        return [model.calls for model in self.models]

    def view(self, number: int = 0) -> BreakerView:
        return self.breakers[number].view()


def chain(*models: Scripted) -> Chain:
    return Chain(models)


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    async def __call__(self, text: str) -> None:
        self.pieces.append(text)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def always(error: LanguageModelError, times: int = 50) -> Sequence[LanguageModelError]:
    """Fail so often."""
    return [error] * times
