"""The commands, and what all of them share."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from prosa.entrypoints.cli.chat import chat
from prosa.entrypoints.cli.consume import consume
from prosa.entrypoints.cli.doctor import doctor
from prosa.entrypoints.cli.migrate import migrate
from prosa.entrypoints.cli.openapi import openapi
from prosa.entrypoints.cli.recover import recover
from prosa.entrypoints.cli.redrive import redrive
from prosa.entrypoints.cli.relay import relay
from prosa.entrypoints.cli.serve import serve
from prosa.entrypoints.cli.token import token

app = typer.Typer(
    name="prosa",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # they show local variables, and with them messages
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - an option's callback is given its value
    if wanted:
        try:
            typer.echo(f"prosa {version('prosa')}")
        except PackageNotFoundError:
            typer.echo("prosa (from a folder, not installed)")
        raise typer.Exit


@app.callback(
    epilog="Settings come from the environment and from .env: PROSA_MODELS, PROSA_DATABASE_URL, … "
    "`prosa doctor` says whether they work."
)
def prosa(
    *,
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Customer-service conversations with AI."""


for command in (serve, chat, consume, redrive, relay, recover, migrate, token, doctor, openapi):
    app.command()(command)
