"""The commands, and what all of them share."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from typer.core import TyperCommand, TyperGroup, TyperOption

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
from prosa.settings import allowed


class InPlainWords(TyperCommand):
    """A command that tells what is wrong with an argument as settings do."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override] # Typer's own is private
        """Read the arguments."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            if isinstance(error.__cause__, ValidationError):
                error.message = allowed(error.__cause__.errors()[0])
            raise

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override] # Typer's own is private
        """List what it takes; a switch takes nothing, so that no type is shown beside it."""
        return _without_types(super().get_params(ctx))


class Commands(TyperGroup):
    """All commands."""

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override] # Typer's own is private
        """List what it takes, as above."""
        return _without_types(super().get_params(ctx))


def _without_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""
    return parameters


app = typer.Typer(
    name="prosa",
    cls=Commands,
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
    app.command(cls=InPlainWords)(command)
