"""What the model families behind Converse take, by how their ids begin.

Facts: https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html
and …/structured-output.html, and what the models were seen to refuse. A table cannot be complete:
an id that it does not know is trusted with nothing that a model may refuse.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Tools(Enum):
    """How a tool's calls and results may stand in a conversation."""

    WORDS = auto()
    """As words only: the family takes no tools."""
    PLAIN = auto()
    """As what they are, but not in a streamed call."""
    STREAMED = auto()
    """As what they are."""


class AnswerMeans(Enum):
    """What makes an answer fit a JSON Schema."""

    WORDS = auto()
    """It is asked for. Nothing enforces it."""
    FORCED_TOOL = auto()
    """A tool with that input has to be called: near to certain."""
    SCHEMA = auto()
    """`outputConfig`: certain. A schema's first use takes longer, by up to minutes; a part of JSON
    Schema is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """What a family takes; the defaults are what every family does."""

    context_tokens: int
    takes_instructions: bool = True
    takes_temperature: bool = True
    tools: Tools = Tools.WORDS
    answers_by: AnswerMeans = AnswerMeans.WORDS


def _all_tools(context_tokens: int, *, takes_temperature: bool = True) -> ModelFamily:
    return ModelFamily(
        context_tokens=context_tokens,
        takes_temperature=takes_temperature,
        tools=Tools.STREAMED,
        answers_by=AnswerMeans.FORCED_TOOL,
    )


def _plain_tools(context_tokens: int) -> ModelFamily:
    return ModelFamily(context_tokens=context_tokens, tools=Tools.PLAIN)


def _open_weights(context_tokens: int) -> ModelFamily:
    return ModelFamily(
        context_tokens=context_tokens, tools=Tools.PLAIN, answers_by=AnswerMeans.SCHEMA
    )


def _text_only(context_tokens: int) -> ModelFamily:
    return ModelFamily(context_tokens=context_tokens, takes_instructions=False)


FAMILIES: dict[str, ModelFamily] = {
    "ai21.jamba-1-5": _plain_tools(256_000),
    "ai21.jamba": ModelFamily(context_tokens=256_000),
    "amazon.nova-premier": _all_tools(1_000_000),
    "amazon.nova-2": _all_tools(1_000_000),
    "amazon.nova-micro": _all_tools(128_000),
    "amazon.nova": _all_tools(300_000),
    "amazon.titan-text-premier": _text_only(32_000),
    "amazon.titan-text-express": _text_only(8_000),
    "amazon.titan": _text_only(4_000),
    "anthropic.claude-3": _all_tools(200_000),
    "anthropic.claude-haiku-4": _all_tools(200_000),
    "anthropic.claude-instant": ModelFamily(context_tokens=100_000),
    "anthropic.claude-opus-4-7": _all_tools(200_000, takes_temperature=False),
    "anthropic.claude-opus-4-8": _all_tools(200_000, takes_temperature=False),
    "anthropic.claude-opus-4": _all_tools(200_000),
    "anthropic.claude-sonnet-4": _all_tools(200_000),
    "anthropic.claude-v2": ModelFamily(context_tokens=100_000),
    # Whatever comes next: from Opus 4.7 on a temperature is refused, and a model that always
    # reasons refuses to be forced to call a tool.
    "anthropic.claude": ModelFamily(
        context_tokens=200_000, takes_temperature=False, tools=Tools.STREAMED
    ),
    "cohere.command-r": _plain_tools(128_000),
    "cohere.command": _text_only(4_000),
    "deepseek.r1": ModelFamily(context_tokens=128_000),
    "deepseek.": _open_weights(128_000),
    "google.gemma-3": _open_weights(128_000),
    "meta.llama2": ModelFamily(context_tokens=4_000),
    "meta.llama3-1": _plain_tools(128_000),
    "meta.llama3-2": _plain_tools(128_000),
    "meta.llama3-3": _plain_tools(128_000),
    "meta.llama3": ModelFamily(context_tokens=8_000),
    "meta.llama4": _plain_tools(1_000_000),
    "minimax.": _open_weights(196_000),
    "mistral.magistral": _open_weights(128_000),
    "mistral.ministral": _open_weights(128_000),
    "mistral.mistral-7b": _text_only(32_000),
    "mistral.mistral-large-2402": _plain_tools(32_000),
    "mistral.mistral-large-3": _open_weights(256_000),
    "mistral.mistral-large": _plain_tools(128_000),
    "mistral.mistral-small": _plain_tools(32_000),
    "mistral.mixtral": _text_only(32_000),
    "mistral.pixtral": _plain_tools(128_000),
    "moonshot": _open_weights(256_000),
    "nvidia.nemotron": _open_weights(128_000),
    "openai.gpt-oss": _open_weights(128_000),
    "qwen.qwen3-32b": _open_weights(32_000),
    "qwen.qwen3": _open_weights(128_000),
    "writer.palmyra-x5": _plain_tools(1_000_000),
    "writer.palmyra": _plain_tools(128_000),
    "zai.glm": _plain_tools(200_000),
}
"""By how the id begins, after a region's prefix; the first that fits counts."""

UNKNOWN = ModelFamily(context_tokens=4_096)
"""For any other id, such as that of a model imported, provisioned or behind an application's
inference profile, whose ARN does not say which model it is."""


def family_of(model_id: str) -> ModelFamily:
    """Find the family of a model, given its id, or an inference profile's (`us.…`), or an ARN."""
    name = "." + model_id.rpartition("/")[2]
    return next((family for start, family in FAMILIES.items() if f".{start}" in name), UNKNOWN)
