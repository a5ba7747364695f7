"""Every model of Amazon Bedrock that speaks Converse."""

from contextlib import aclosing

from prosa.adapters.bedrock.model_families import Tools, family_of
from prosa.adapters.bedrock.runtime import BedrockRuntime
from prosa.adapters.bedrock.wire_format import (
    ConverseAnswer,
    GuardrailReference,
    Json,
    converse_request,
    in_format,
)
from prosa.adapters.deadline import answering_by
from prosa.application.ports.language_model import (
    LanguageModel,
    ModelMisconfigured,
    ModelRequest,
    OnText,
)
from prosa.domain.content import text_of
from prosa.domain.errors import ConfigurationError
from prosa.domain.identifiers import Clock
from prosa.domain.reply import Reply

THREADS = 32
"""How many calls of one model run at once; others wait, up to their deadline."""


class BedrockLanguageModel(LanguageModel):
    """A model behind Converse. `open` makes the client, or the first call does; end by `aclose`.

    Region, credentials and endpoint are those that boto3 finds in its own environment.
    """

    def __init__(
        self,
        *,
        model: str,
        clock: Clock,
        guardrail: GuardrailReference | None = None,
        threads: int = THREADS,
    ) -> None:
        """Make nothing yet.

        `model` is a model's id, an inference profile's (`us.anthropic.…`) or an ARN; `guardrail`
        one that Bedrock applies within each call, to the conversation and to the answer.
        """
        self._model = model
        self._clock = clock
        self._guardrail = guardrail
        self._family = family_of(model)
        self._runtime = BedrockRuntime(self.name, threads=threads)

    @property
    def name(self) -> str:
        """As `PROSA_MODELS` writes it: `bedrock:anthropic.claude-3-5-haiku-20241022-v1:0`."""
        return f"bedrock:{self._model}"

    @property
    def context_tokens(self) -> int:
        """What the family holds; few for an id that does not say which family it is of."""
        return self._family.context_tokens

    @property
    def needs_alternating_roles(self) -> bool:
        """Converse does, for every family."""
        return True

    async def open(self) -> None:
        """Make the client; nothing is sent. Raises ConfigurationError."""
        await self._runtime.open()

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; see the port. Makes one HTTP request and never a second."""
        async with answering_by(request.deadline, self._clock):
            written = converse_request(
                request, model_id=self._model, family=self._family, guardrail=self._guardrail
            )
            await self._opened()
            request.budget.spend()
            seconds = (request.deadline - self._clock()).total_seconds()
            if on_text and self._may_stream(request, written):
                return await self._streamed(written, seconds, on_text)
            reply = await self._plain(written, seconds)
            if request.answer_format:
                reply = in_format(reply, request.answer_format)
            if on_text and (text := text_of(reply.parts)):
                await on_text(text)
            return reply

    async def aclose(self) -> None:
        """Let go of connections and threads. The model cannot be used after this."""
        await self._runtime.aclose()

    async def _opened(self) -> None:
        try:
            await self._runtime.open()
        except ConfigurationError as error:
            raise ModelMisconfigured(str(error)) from error

    def _may_stream(self, request: ModelRequest, written: Json) -> bool:
        """Whether pieces can be passed on as they come: JSON has to be seen whole first."""
        if request.answer_format:
            return False
        return "toolConfig" not in written or self._family.tools is Tools.STREAMED

    async def _plain(self, written: Json, seconds: float) -> Reply:
        answer = ConverseAnswer(self.name)
        answer.add_response(await self._runtime.call("converse", written, seconds))
        return answer.reply(provider="bedrock", model=self._model)

    async def _streamed(self, written: Json, seconds: float, on_text: OnText) -> Reply:
        answer = ConverseAnswer(self.name)
        async with aclosing(self._runtime.stream(written, seconds)) as events:
            async for event in events:
                if text := answer.add_event(event):
                    await on_text(text)
        return answer.reply(provider="bedrock", model=self._model)
