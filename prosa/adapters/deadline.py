"""The one place where a language model's deadline becomes a timeout."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from prosa.application.ports.language_model import ModelTimedOut
from prosa.domain.identifiers import Clock


@asynccontextmanager
async def answering_by(deadline: datetime, clock: Clock) -> AsyncIterator[asyncio.Timeout]:
    """Bound the whole of a model's answer, its stream included; gives the limit, to lift it.

    Raises ModelTimedOut when the deadline comes, at once where it has passed. Being cancelled by
    the caller stays CancelledError, and a TimeoutError of something else stays what it is.
    """
    remaining = (deadline - clock()).total_seconds()
    if remaining <= 0:
        raise ModelTimedOut("the deadline had passed before the model was asked")
    try:
        async with asyncio.timeout(remaining) as limit:
            yield limit
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise ModelTimedOut("the model did not answer by the deadline") from error
