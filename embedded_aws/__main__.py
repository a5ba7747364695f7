"""`python -m embedded_aws`: runs AWS and Prosa on this machine, and tries what runs."""

import sys

import typer
from botocore.exceptions import BotoCoreError

from embedded_aws.running import run
from embedded_aws.trying import events, push, rotate, token
from prosa.domain.errors import ProsaError

app = typer.Typer(
    name="python -m embedded_aws",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they show local variables
)
for command in (run, token, push, events, rotate):
    app.command()(command)


def main() -> None:
    """Run a command and exit."""
    try:
        app()
    except (BotoCoreError, ProsaError) as error:
        sys.exit(f"embedded_aws: {error}")


if __name__ == "__main__":
    main()
