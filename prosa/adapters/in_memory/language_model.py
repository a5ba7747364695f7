"""A language model that says what it was told to say, and fails as it was told to fail."""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from prosa.adapters.deadline import answering_by
from prosa.application.ports.language_model import (
    LanguageModel,
    LanguageModelError,
    ModelRequest,
    ModelUnavailable,
    OnText,
)
from prosa.domain.content import Part, Text, text_of
from prosa.domain.identifiers import Clock
from prosa.domain.reply import FinishReason, Reply, TokenUsage

DEFAULT_REPLY = "This is a scripted reply: no language model is configured."

USAGE = TokenUsage(input_tokens=10, output_tokens=5)
"""What every reply costs that does not say otherwise."""

_WORDS = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedReply:
    """What to answer, how late, and how far: `latency` in seconds, `cut_after` in characters."""

    parts: tuple[Part, ...]
    finish_reason: FinishReason = FinishReason.STOP
    usage: TokenUsage = USAGE
    latency: float = 0.0
    cut_after: int | None = None
    degraded: bool = False
    """Whether it stands for a canned reply, which no model was asked for."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer: wait until cancelled, or for the deadline."""


Answer = str | ScriptedReply | LanguageModelError | Hang
"""What to do on one call: say a text or a whole reply, raise an error, or hang."""

Step = Answer | Callable[[ModelRequest], Answer]
"""An answer, or how to find one for a request."""


class ScriptedLanguageModel(LanguageModel):
    """Answers by a script: `script` step by step, then `default` for ever.

    `requests` holds each request that it was asked, oldest first; `script` what is still to come.
    """

    def __init__(
        self,
        script: Iterable[Step] = (),
        *,
        default: Step = DEFAULT_REPLY,
        context_tokens: int = 128_000,
        needs_alternating_roles: bool = False,
        clock: Clock = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.script = deque(script)
        self.requests: list[ModelRequest] = []
        self._default = default
        self._context_tokens = context_tokens
        self._needs_alternating_roles = needs_alternating_roles
        self._clock = clock
        self._sleep = sleep

    @property
    def name(self) -> str:
        """Always `scripted`."""
        return "scripted"

    @property
    def context_tokens(self) -> int:
        """As it was told to say."""
        return self._context_tokens

    @property
    def needs_alternating_roles(self) -> bool:
        """As it was told to say."""
        return self._needs_alternating_roles

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Take the script's next step; see the port."""
        async with answering_by(request.deadline, self._clock):
            request.budget.spend()
            self.requests.append(request)
            step = self.script.popleft() if self.script else self._default
            match step(request) if callable(step) else step:
                case LanguageModelError() as error:
                    raise error
                case Hang():
                    never: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
                    return await never
                case ScriptedReply() as scripted:
                    return await self._say(scripted, on_text)
                case text:
                    return await self._say(ScriptedReply(parts=(Text(text=text),)), on_text)

    async def _say(self, scripted: ScriptedReply, on_text: OnText | None) -> Reply:
        await self._sleep(scripted.latency)
        said = text_of(scripted.parts)[: scripted.cut_after]
        if on_text:
            for word in _WORDS.findall(said):
                await on_text(word)
        if scripted.cut_after is not None:
            raise ModelUnavailable("the connection to scripted broke off")
        return Reply(
            parts=scripted.parts,
            finish_reason=scripted.finish_reason,
            provider="scripted",
            model="scripted",
            usage=scripted.usage,
            degraded=scripted.degraded,
        )
