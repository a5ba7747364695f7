"""Which messages fit a model's budget: a view of a conversation that deletes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, assert_never

from prosa.domain.content import Part, Text, ToolCall, ToolResult
from prosa.domain.message import Message, Role, Utterance
from prosa.domain.reply import FinishReason

CHARACTERS_PER_TOKEN = 3
"""A cautious estimate for Portuguese and English: real tokenizers reach 3.5 to 4.5."""

TOKENS_PER_MESSAGE = 4
"""What a chat format adds around a message."""

_Said = TypeVar("_Said", Message, Utterance)


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens a text takes, on the safe side, without a tokenizer."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextWindow:
    """The part of a conversation that a model is shown, oldest first."""

    utterances: tuple[Utterance, ...]

    @classmethod
    def fit(
        cls,
        history: Sequence[Message],
        *,
        tokens: int,
        messages: int,
        alternating: bool,
    ) -> "ContextWindow":
        """Take the newest exchanges of `history` that fit in `tokens` and in `messages`.

        An exchange begins with a customer's message and ends before the next one, so the window
        starts on a customer's message and a tool's call and result stay together. The newest
        exchange is always taken: whether it fits, the model itself must say. An exchange that a
        guardrail or content filter refused is never shown again. With `alternating`, messages of
        one role that follow each other are merged, for providers that forbid them.
        """
        exchanges = [each for each in _exchanges(history) if not _was_refused(each)]
        shown = [
            # Models know no third party: a human agent's words are shown as the assistant's.
            Utterance(
                role=Role.ASSISTANT if message.role is Role.AGENT else message.role,
                parts=message.parts,
            )
            for message in _newest(exchanges, tokens, messages)
        ]
        return cls(utterances=tuple(_merged(shown) if alternating else shown))


def estimate_tokens_of(utterances: Iterable[Utterance]) -> int:
    """Estimate how many tokens utterances take, on the safe side."""
    return sum(map(_tokens_of, utterances))


def without_oldest(utterances: Sequence[Utterance], *, tokens: int) -> tuple[Utterance, ...]:
    """Drop the oldest exchanges until the rest is estimated to fit in `tokens`.

    The newest exchange stays, whatever it takes.
    """
    return tuple(_newest(_exchanges(utterances), tokens, len(utterances)))


def _newest(exchanges: Sequence[list[_Said]], tokens: int, messages: int) -> list[_Said]:
    """Take the newest exchanges that fit, oldest first; the newest one in any case."""
    taken: list[list[_Said]] = []
    for exchange in reversed(exchanges):
        tokens -= sum(map(_tokens_of, exchange))
        messages -= len(exchange)
        if taken and (tokens < 0 or messages < 0):
            break
        taken.append(exchange)
    return [said for exchange in reversed(taken) for said in exchange]


def _exchanges(history: Sequence[_Said]) -> list[list[_Said]]:
    """Cut the history before each customer's message; what stands before the first is left out."""
    exchanges: list[list[_Said]] = []
    for message in history:
        if message.role is Role.USER:
            exchanges.append([message])
        elif exchanges:
            exchanges[-1].append(message)
    return exchanges


def _was_refused(exchange: Sequence[Message]) -> bool:
    return any(
        message.provenance is not None
        and message.provenance.finish_reason is FinishReason.CONTENT_FILTER
        for message in exchange
    )


def _tokens_of(message: Message | Utterance) -> int:
    tokens = TOKENS_PER_MESSAGE
    for part in message.parts:
        tokens += estimate_tokens(_characters(part))
    return tokens


def _characters(part: Part) -> str:
    match part:
        case Text(text=text):
            return text
        case ToolCall(name=name, arguments=arguments):
            return name + arguments
        case ToolResult(content=content):
            return content
        case _:
            assert_never(part)


def _merged(utterances: Iterable[Utterance]) -> list[Utterance]:
    merged: list[Utterance] = []
    for utterance in utterances:
        if merged and merged[-1].role is utterance.role:
            merged[-1] = Utterance(
                role=utterance.role, parts=_joined(merged[-1].parts, utterance.parts)
            )
        else:
            merged.append(utterance)
    return merged


def _joined(first: tuple[Part, ...], second: tuple[Part, ...]) -> tuple[Part, ...]:
    """Put a blank line between two texts, so that two messages do not read as one sentence."""
    if isinstance(first[-1], Text) and isinstance(second[0], Text):
        return (*first, Text(text="\n\n"), *second)
    return first + second
