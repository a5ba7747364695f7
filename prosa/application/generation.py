"""One generation: asks the model, has the guardrail screen the reply, and keeps what was found.

The reply is cut into pieces; each is screened, and released where it may pass. Whatever becomes of
them, the text that was released is cut again into the very pieces that were. What was found is
there also where it breaks off, so that nothing that was paid or said is forgotten.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import assert_never

from prosa.application.ports.guardrail import Guardrail, Passage
from prosa.application.ports.language_model import (
    CALLS_PER_ATTEMPT,
    CallBudget,
    LanguageModel,
    ModelRequest,
)
from prosa.domain.content import Text, text_of
from prosa.domain.reply import Call, CallPurpose, PromptReference, Reply, refusal
from prosa.domain.sentences import SentenceSplitter, ends_sentence
from prosa.domain.turn import Attempt
from prosa.domain.verdict import Allowed, Blocked, Direction, Finding, Redacted, findings_of

OnPiece = Callable[[str], Awaitable[None]]
"""Called with each released piece of a reply, in order; the pieces joined are the reply's text."""


class ReplyBlockedError(Exception):
    """The guardrail blocked a piece: ends the model's call from within, and goes no further."""


@dataclass(slots=True)
class _SentenceSoFar:
    """What there was of a sentence in the pieces before, and what was made of it."""

    text: str = ""
    released: str = ""
    findings: tuple[Finding, ...] = ()
    """In the whole of it, with the piece that is screened now."""


class Generation:
    """One try of a model's at a reply, within an attempt's budget of calls."""

    def __init__(self, attempt: Attempt, guardrail: Guardrail, on_piece: OnPiece | None) -> None:
        self.budget = CallBudget(CALLS_PER_ATTEMPT - attempt.calls_made)
        self._tenant_id = attempt.tenant_id
        self._guardrail = guardrail
        self._on_piece = on_piece
        self._splitter = SentenceSplitter()
        self._recut: SentenceSplitter | None = None
        self._released: list[str] = []
        self._sentence = _SentenceSoFar()
        self._findings: tuple[Finding, ...] = ()
        self._calls: tuple[Call, ...] = ()

    async def screened_reply(self, model: LanguageModel, request: ModelRequest) -> Reply:
        """Have the model answer; its text becomes what was released of it.

        Raises a LanguageModelError, GuardrailError, and ReplyBlockedError at the first piece that
        may not pass.
        """
        streamed = self._on_piece is not None
        answer = await model.generate(request, self._push if streamed else None)
        if not answer.degraded:
            self._calls += (_call_of(answer),)
        if not streamed:
            await self._push(text_of(answer.parts))
        for piece in self._splitter.finish():
            await self._screen(piece)
        await self._release_rest()
        return Reply(
            parts=(Text(text="".join(self._released)),),
            finish_reason=answer.finish_reason,
            provider=answer.provider,
            model=answer.model,
            usage=answer.usage,
            degraded=answer.degraded,
        )

    async def refuse(self, sentence: str) -> Reply:
        """Release the safe sentence behind what was released before; it needs no screening."""
        await self._release_other(sentence)
        await self._release_rest()
        return refusal("".join(self._released))

    def found(
        self,
        attempt: Attempt,
        *,
        prompt: PromptReference | None = None,
        reply: Reply | None = None,
    ) -> Attempt:
        """Add to an attempt what was found and spent, and the reply where there is one."""
        # Not by `replace`, which takes longer, in every turn.
        return Attempt(
            header=attempt.header,
            turn=attempt.turn,
            history=attempt.history,
            intent=attempt.intent,
            findings=attempt.findings + self._findings + self._sentence.findings,
            prompt=prompt or attempt.prompt,
            reply=reply or attempt.reply,
            calls=attempt.calls + self._calls,
            calls_made=CALLS_PER_ATTEMPT - self.budget.remaining,
            said=attempt.said,
        )

    def broken_off(self, attempt: Attempt) -> Attempt:
        """Say how far an attempt came that ends here, and what the customer was shown of it."""
        if attempt.reply is not None:
            return attempt
        said = "".join(self._released) if self._on_piece is not None else ""
        return replace(self.found(attempt), said=said)

    async def _push(self, text: str) -> None:
        for piece in self._splitter.push(text):
            await self._screen(piece)

    async def _screen(self, piece: str) -> None:
        """Screen a piece with what came before it of its sentence, so that no cut hides a thing.

        What is out cannot be taken back: where it would have to be, the reply ends.
        """
        sentence = self._sentence
        text = sentence.text + piece
        passage = Passage(tenant_id=self._tenant_id, direction=Direction.OUTBOUND, text=text)
        verdict = await self._guardrail.screen(passage)
        sentence.findings = findings_of(verdict, Direction.OUTBOUND)
        match verdict:
            case Allowed():
                released = piece
            case Redacted(text=redacted) if redacted.startswith(sentence.released):
                released = redacted.removeprefix(sentence.released)
            case Redacted() | Blocked():
                raise ReplyBlockedError
            case _:
                assert_never(verdict)
        if released == piece and self._recut is None:
            await self._say(piece)
        else:
            await self._release_other(released)
        sentence.text = text
        sentence.released += released
        if ends_sentence(piece):
            self._findings += sentence.findings
            self._sentence = _SentenceSoFar()

    async def _release_other(self, text: str) -> None:
        """Release words in a piece's place, or behind some: the two are cut together, anew."""
        if self._recut is None:
            self._recut = SentenceSplitter(continuing=bool(self._released))
        for piece in self._recut.push(text):
            await self._say(piece)

    async def _release_rest(self) -> None:
        if self._recut is not None:
            for piece in self._recut.finish():
                await self._say(piece)

    async def _say(self, piece: str) -> None:
        self._released.append(piece)
        if self._on_piece is not None:
            await self._on_piece(piece)


def _call_of(reply: Reply) -> Call:
    return Call(
        purpose=CallPurpose.GENERATE,
        provider=reply.provider,
        model=reply.model,
        usage=reply.usage,
    )
