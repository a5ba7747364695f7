"""A Bedrock guardrail that judges passages, whichever model answers."""

import asyncio
from collections.abc import Iterator

from prosa.adapters.bedrock.runtime import BedrockRuntime
from prosa.adapters.bedrock.wire_format import GuardrailReference, Json
from prosa.application.ports.guardrail import Guardrail, GuardrailError, Passage
from prosa.application.ports.language_model import LanguageModelError
from prosa.domain.errors import ConfigurationError
from prosa.domain.verdict import Allowed, Blocked, Direction, Redacted, Verdict

THREADS = 16
"""How many passages are judged at once; others wait."""

SECONDS = 3.0
"""How long a verdict is waited for; others take a fraction of a second."""

UNNAMED = "bedrock_guardrail"
"""The reason for blocking where the guardrail names none."""

_SOURCES = {Direction.INBOUND: "INPUT", Direction.OUTBOUND: "OUTPUT"}

_NAMED_BY = (
    # Policy, its list, and the field that names a rule; a word would quote the passage.
    ("topicPolicy", "topics", "name"),
    ("contentPolicy", "filters", "type"),
    ("wordPolicy", "managedWordLists", "type"),
    ("wordPolicy", "customWords", None),
    ("sensitiveInformationPolicy", "piiEntities", "type"),
    ("sensitiveInformationPolicy", "regexes", "name"),
    ("contextualGroundingPolicy", "filters", "type"),
)


class BedrockGuardrail(Guardrail):
    """Judges by ApplyGuardrail. `open` makes the client, or the first call does; end by `aclose`.

    Shapes: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ApplyGuardrail.html
    """

    def __init__(
        self, guardrail: GuardrailReference, *, seconds: float = SECONDS, threads: int = THREADS
    ) -> None:
        """Make nothing yet."""
        self._guardrail = guardrail
        self._seconds = seconds
        self._source = f"the guardrail {guardrail.id}, version {guardrail.version}"
        self._runtime = BedrockRuntime(self._source, threads=threads)

    async def open(self) -> None:
        """Make the client; nothing is sent. Raises ConfigurationError."""
        await self._runtime.open()

    async def screen(self, passage: Passage) -> Verdict:
        """Judge a passage; see the port. One that is blank passes without being sent."""
        if not passage.text.strip():
            return Allowed()
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._applied(passage)
        except TimeoutError as error:
            raise GuardrailError(f"{self._source} gave no verdict in time") from error
        except (LanguageModelError, ConfigurationError) as error:
            raise GuardrailError(str(error)) from error
        return self._verdict(answer)

    async def aclose(self) -> None:
        """Let go of connections and threads. The guardrail cannot be used after this."""
        await self._runtime.aclose()

    async def _applied(self, passage: Passage) -> Json:
        await self._runtime.open()
        arguments: Json = {
            "guardrailIdentifier": self._guardrail.id,
            "guardrailVersion": self._guardrail.version,
            "source": _SOURCES[passage.direction],
            "content": [{"text": {"text": passage.text}}],
        }
        return await self._runtime.call("apply_guardrail", arguments, self._seconds)

    def _verdict(self, answer: Json) -> Verdict:
        match answer.get("action"):
            case "NONE":
                return Allowed()
            case "GUARDRAIL_INTERVENED":
                return _intervention(answer)
            case _:
                raise GuardrailError(f"{self._source} gave a verdict that cannot be read")


def _intervention(answer: Json) -> Blocked | Redacted:
    """Read what a guardrail did. Where it does not say that it only masked, it blocked."""
    found = [rule for assessment in _listed(answer, "assessments") for rule in _rules(assessment)]
    blocking = [name for name, action in found if action == "BLOCKED"]
    masking = tuple(dict.fromkeys(name for name, action in found if action == "ANONYMIZED"))
    text = "".join(str(output.get("text", "")) for output in _listed(answer, "outputs"))
    if blocking or not masking or not text:
        return Blocked(reason=blocking[0] if blocking else UNNAMED)
    return Redacted(text=text, rules=masking)


def _rules(assessment: Json) -> Iterator[tuple[str, object]]:
    """List the rules that found something, each with what it did."""
    for policy, listed, named_by in _NAMED_BY:
        for finding in _listed(assessment.get(policy), listed):
            name = finding.get(named_by) if named_by else "CUSTOM_WORD"
            yield str(name or UNNAMED).lower(), finding.get("action")


def _listed(holder: object, name: str) -> list[Json]:
    found = holder.get(name) if isinstance(holder, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
