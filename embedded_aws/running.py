"""Runs it all: an account, a Bedrock with a model behind it, and Prosa's processes against them."""

import asyncio
import logging
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from embedded_aws import children, installation
from embedded_aws.account import make_account
from embedded_aws.announcement import announcement
from embedded_aws.bedrock.model_behind import answered_by
from embedded_aws.database import running_postgres
from embedded_aws.loopback_server import HOST, LoopbackServer, served
from embedded_aws.moto_server import running_moto, sdk_variables
from embedded_aws.state_machine import ARN
from embedded_aws.turn_functions import turn_functions
from prosa.adapters.bedrock.model_families import UNKNOWN
from prosa.application.ports.language_model import LanguageModel
from prosa.bootstrap.models import local_model, open_model
from prosa.bootstrap.moments import now
from prosa.bootstrap.storage import migrate
from prosa.domain.errors import ConfigurationError
from prosa.entrypoints.cli.in_words import model_in_words
from prosa.settings import Settings

STOPPING = "\nEnding, once the turns that run have; Ctrl-C once more ends it at once."


class TurnRunner(StrEnum):
    """Where turns of the HTTP API run."""

    INLINE = "inline"
    STEP_FUNCTIONS = "step_functions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a developer may choose."""

    port: int
    aws_port: int
    behind: str
    turn_runner: TurnRunner


def run(
    *,
    port: Annotated[
        int, typer.Option(help="Of the HTTP API; 0 is any free one.", min=0, max=65_535)
    ] = 8_000,
    aws_port: Annotated[
        int, typer.Option(help="Of AWS; 0 is any free one.", min=0, max=65_535)
    ] = 4_566,
    behind: Annotated[
        str, typer.Option(help="Which model answers behind Bedrock, as PROSA_MODELS names it.")
    ] = "local",
    turn_runner: Annotated[
        TurnRunner, typer.Option(help="Where turns of the HTTP API run.")
    ] = TurnRunner.INLINE,
) -> None:
    """Run AWS and Prosa on this machine, until Ctrl-C."""
    wanted = Wanted(
        port=_free_port(port, "PORT"),
        aws_port=_free_port(aws_port, "AWS_PORT"),
        behind=behind,
        turn_runner=turn_runner,
    )
    typer.echo("Starting AWS and Prosa on this machine …")
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it tells of every request
    asyncio.run(_until_told(_run(wanted)))


async def _run(wanted: Wanted) -> None:
    async with AsyncExitStack() as stack:
        address = stack.enter_context(running_moto(wanted.aws_port))
        os.environ.update(sdk_variables(address))
        bedrock, behind = await stack.enter_async_context(_bedrock(wanted.behind))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="prosa-"))
        database = stack.enter_context(running_postgres(Path(folder) / "data"))
        _make_installation(wanted, address, database)
        await migrate(Settings())
        if wanted.turn_runner is TurnRunner.STEP_FUNCTIONS:
            await stack.enter_async_context(turn_functions(address))
        commands = (("serve", "--port", str(wanted.port)), ("consume",))
        processes = await stack.enter_async_context(children.running(commands))
        stack.enter_context(installation.file_written())
        typer.echo(
            announcement(
                http=f"http://{HOST}:{wanted.port}",
                aws=address,
                bedrock=bedrock,
                behind=behind,
                runner=wanted.turn_runner,
            )
        )
        await children.require_all(commands, processes)


@asynccontextmanager
async def _bedrock(behind: str) -> AsyncIterator[tuple[str, str]]:
    """Run a Bedrock, have this process's SDKs call it, and tell its address and who answers."""
    settings = Settings.model_validate(
        {"environment": "development", "auth": "none", "models": behind}
    )
    if len(settings.models) > 1:
        raise ConfigurationError(f"behind Bedrock is one model: MODELS={settings.models[0]}")
    async with _model_behind(settings) as model:
        server = LoopbackServer(answered_by(model, now))
        async with served(server):
            os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] = server.url
            yield server.url, model_in_words(settings)


@asynccontextmanager
async def _model_behind(settings: Settings) -> AsyncIterator[LanguageModel]:
    (name,) = settings.models
    if name.adapter != "local":
        async with open_model(settings, name) as model:
            yield model
        return
    # As much as Prosa believes of a model whose id says nothing.
    async with aclosing(local_model(settings, context_tokens=UNKNOWN.context_tokens)) as local:
        await local.open()
        yield local


def _make_installation(wanted: Wanted, address: str, database: str) -> None:
    """Make what an installation needs, and set its settings in this process's environment."""
    account = make_account()
    runner = wanted.turn_runner.value
    if wanted.turn_runner is TurnRunner.STEP_FUNCTIONS:
        runner += f":{ARN}"
    variables = installation.variables_for(
        account,
        address=address,
        database=database,
        turn_runner=runner,
    )
    os.environ.update(variables)


async def _until_told(work: Coroutine[None, None, None]) -> None:
    """Work until a signal says to end; each further one hurries it."""
    task = asyncio.create_task(work)
    told = asyncio.Event()

    def end() -> None:
        if not told.is_set():
            typer.echo(STOPPING)
        told.set()
        task.cancel()

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    await asyncio.wait({task})
    # What a terminal ended, as Postgres while it is made, may have failed before this was told.
    await asyncio.sleep(0)
    if not told.is_set():
        await task


def _free_port(port: int, variable: str) -> int:
    """Find a port, or see that the one that is wanted is free. Raises ConfigurationError."""
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asking.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {HOST}, port {port}: {error.strerror}; choose another, as in "
                f"make run-aws {variable}={port + 1}"
            ) from error
        free: int = asking.getsockname()[1]
        return free
