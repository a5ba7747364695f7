"""Asks real models, where there are keys for them: `make live`, each night.

OPENAI_API_KEY is for OpenAI; LIVE_BEDROCK_MODEL names a model of Bedrock's, which credentials of
AWS may ask. What there is no key for is said and passed over. A turn costs a fraction of a cent.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping

from prosa import CustomerMessage, ProsaError, Settings
from prosa.bootstrap import bootstrap

QUESTION = "Oi! O meu pedido atrasou. O que posso fazer?"


class LiveCheckFailed(Exception):
    """A real model did not answer as the contract has it."""


def models(environment: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Name each model that would be asked, with what is missing for it."""
    openai = environment.get("LIVE_OPENAI_MODEL") or "gpt-4o-mini"
    yield f"openai:{openai}", None if environment.get("OPENAI_API_KEY") else "OPENAI_API_KEY"
    bedrock = environment.get("LIVE_BEDROCK_MODEL")
    yield f"bedrock:{bedrock or '…'}", None if bedrock else "LIVE_BEDROCK_MODEL"


async def take_a_turn(model: str) -> None:
    """Have a model answer piece by piece. Raises LiveCheckFailed, ProsaError."""
    pieces: list[str] = []

    async def hear(piece: str) -> None:
        pieces.append(piece)

    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite+aiosqlite:///{folder}/live.db"
        async with bootstrap(
            Settings.model_validate({"models": model, "database_url": database})
        ) as app:
            outcome = await app.take_turn(CustomerMessage(text=QUESTION), hear)
    reply = outcome.turn.reply
    if reply is None or not reply.text:
        raise LiveCheckFailed(f"the turn ended without a reply: {outcome.turn.status}")
    if "".join(pieces) != reply.text:
        raise LiveCheckFailed("the pieces that were heard are not the reply that was stored")
    usage = reply.provenance.usage if reply.provenance else None
    if usage is None or not usage.output_tokens:
        raise LiveCheckFailed("the provider did not say how many tokens it took")


def check(model: str, missing: str | None) -> tuple[bool, str]:
    """Ask a model; whether that went well, and what to say of it."""
    if missing:
        return True, f"{model}: not asked, there is no {missing}"
    try:
        asyncio.run(take_a_turn(model))
    except (LiveCheckFailed, ProsaError) as error:
        return False, f"{model}: {error}"
    return True, f"{model}: answers"


def main() -> int:
    """Ask each; 1 if one did not answer well."""
    outcomes = [check(model, missing) for model, missing in models(os.environ)]
    print("\n".join(line for _, line in outcomes))  # noqa: T201 - a command's output
    return 0 if all(passed for passed, _ in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
