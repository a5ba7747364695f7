"""A guardrail, seen: each passage that it judges has a span, with the rules and never the text."""

from collections.abc import Coroutine
from typing import Any

from opentelemetry.trace import Span

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.spans import Tracing, is_kept
from prosa.application.ports.guardrail import Guardrail, Passage
from prosa.domain.verdict import Verdict, findings_of


class TracedGuardrail(Guardrail):
    """Judges passages."""

    def __init__(self, guardrail: Guardrail, tracing: Tracing) -> None:
        self._guardrail = guardrail
        self._tracing = tracing

    def screen(self, passage: Passage) -> Coroutine[Any, Any, Verdict]:
        """Judge a passage; see the port."""
        return self._seen(passage) if is_kept() else self._guardrail.screen(passage)

    async def _seen(self, passage: Passage) -> Verdict:
        with self._tracing.step(names.SCREEN) as span:
            verdict = await self._guardrail.screen(passage)
            _describe(span, passage, verdict)
            return verdict


def _describe(span: Span, passage: Passage, verdict: Verdict) -> None:
    span.set_attribute(names.DIRECTION, passage.direction.value)
    span.set_attribute(names.VERDICT, type(verdict).__name__.lower())
    findings = findings_of(verdict, passage.direction)
    if findings:
        span.set_attribute(names.RULES, [finding.rule for finding in findings])
