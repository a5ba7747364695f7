"""What a process of another version does: a line of JSON asks for it, another one answers.

That version's code runs this, so it keeps to what Prosa makes public. Its events go to the file
that it is given.
"""

import asyncio
import json
import logging
import sys
from dataclasses import asdict
from typing import Any

import prosa
from prosa import DEFAULT_TENANT, App, ConversationId, CustomerMessage


async def say(app: App, text: str, key: str, conversation_id: str | None) -> dict[str, Any]:
    """Take a turn."""
    at = ConversationId(conversation_id) if conversation_id else None
    message = CustomerMessage(text=text, conversation_id=at, idempotency_key=key)
    outcome = await app.take_turn(message)
    turn = outcome.turn
    return {
        "turn_id": turn.id,
        "conversation_id": turn.conversation_id,
        "reply_id": turn.reply and turn.reply.id,
        "reply": turn.reply and turn.reply.text,
        "replayed": outcome.replayed,
    }


async def read(app: App, conversation_id: str) -> list[Any]:
    """Read all that was said."""
    page = await app.conversations.list_messages(
        DEFAULT_TENANT, ConversationId(conversation_id), limit=100, after=None, ascending=True
    )
    return [[one.sequence, one.id, one.turn_id, one.role, one.text] for one in page.items]


async def relay(app: App) -> dict[str, int]:
    """Publish what waits."""
    return asdict(await app.relay_outbox())


async def recover(app: App) -> dict[str, int]:
    """See to turns that were left behind."""
    return asdict(await app.recover_turns())


ACTIONS = {action.__name__: action for action in (say, read, relay, recover)}


async def act(app: App, asked: dict[str, Any]) -> object:
    """Do what a line asks for."""
    return await ACTIONS[asked.pop("action")](app, **asked)


async def main(sink: str) -> None:
    """Do one thing after another until there is no further line."""
    logging.basicConfig(filename=sink, level=logging.INFO, format="%(name)s: %(message)s")
    async with prosa.bootstrap(prosa.Settings()) as app:
        _tell(prosa.__file__)
        while line := await asyncio.to_thread(sys.stdin.readline):
            _tell(await act(app, json.loads(line)))


def _tell(answer: object) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - it is how it answers


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
