"""What the benchmarks' customers say, and what counts as an answer."""

import re
from typing import Final

from benchmarks.http_client import Connection
from benchmarks.mock_model import REPLY

PATH: Final = "/v1/messages"
TEXTS: Final = (
    "Hi, I ordered a pair of running shoes last week.",
    "The shoes are blue. Where is my parcel now?",
    "Thanks. May I still change the delivery address?",
    "My neighbour could take the parcel for me in the afternoon.",
    "That helps a lot, have a good day!",
)
_ID: Final = re.compile(rb'"conversation_id"\s*:\s*"([^"]+)"')
_EXPECTED: Final = REPLY.encode()
_SHOWN: Final = 500


class WrongAnswerError(Exception):
    """A server answered something other than a 200 that carries the model's reply."""


async def say(connection: Connection, text: str, conversation_id: str | None = None) -> str:
    """Take one turn, in a new conversation where none is named; return the conversation's id."""
    named = f',"conversation_id":"{conversation_id}"' if conversation_id else ""
    status, body = await connection.post(PATH, f'{{"text":"{text}"{named}}}'.encode())
    found = _ID.search(body)
    if status != 200 or not found or _EXPECTED not in body:
        raise WrongAnswerError(f"{status} {body[:_SHOWN].decode(errors='replace')}")
    return found[1].decode()
