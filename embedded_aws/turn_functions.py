"""The functions of the state machine that takes turns, in this process's event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from embedded_aws.state_machine import Event, executing, make_state_machine
from prosa.bootstrap import bootstrap
from prosa.entrypoints.aws_lambda.relay_outbox import relay_within
from prosa.entrypoints.step_functions import tasks
from prosa.entrypoints.step_functions.take_turn import PUBLISH, PUBLISH_SECONDS


@asynccontextmanager
async def turn_functions(address: str) -> AsyncIterator[None]:
    """Have moto, which is at `address`, take turns by the settings of the environment."""
    loop = asyncio.get_running_loop()
    async with bootstrap() as app:

        async def take_step(name: str, event: Event) -> None:
            if name == PUBLISH:
                await relay_within(app.relay_outbox, PUBLISH_SECONDS)
            else:
                await tasks.seen(getattr(tasks, name), app.turn_steps, event, app.telemetry)

        def invoke(name: str, event: Event) -> None:
            asyncio.run_coroutine_threadsafe(take_step(name, event), loop).result()

        with executing(address, invoke):
            make_state_machine()
            yield
