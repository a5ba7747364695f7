"""What the pipeline does beside Terraform: `python -m infrastructure.delivery COMMAND`.

    packages FOLDER              prints Terraform's variable `packages`
    upload FOLDER OUTPUTS        puts packages into the environment's bucket
    migrate OUTPUTS              has the newest version of `migrate` bring the database to it
    move OUTPUTS                 looks at the newest API, then moves all aliases; back if that fails
    smoke OUTPUTS                looks at the API as clients see it

OUTPUTS is a file: `terraform output -json prosa`. Credentials and region are those of the
environment, as for every AWS SDK.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
import httpx2
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infrastructure.delivery import functions, packages, smoke
from infrastructure.delivery.aliases import Aliases, MoveFailed
from prosa.client import ClientError as ApiError

Outputs = Mapping[str, Any]

ClientOf = Callable[..., Any]
"""Gives a client of a service, as boto3.client does."""

ERRORS = (
    functions.CallFailed,
    smoke.SmokeFailed,
    MoveFailed,
    ApiError,
    BotoCoreError,
    ClientError,
    httpx2.HTTPError,
    LookupError,
    OSError,
)
"""What is told in one sentence: a pipeline's reader needs no traceback for these."""

PATIENT = Config(read_timeout=930, retries={"total_max_attempts": 1})
"""Migrations take up to a function's 15 minutes, and are not begun twice."""


def show(_client: ClientOf, folder: Path) -> None:
    """Print what Terraform is to deploy."""
    say(json.dumps(packages.variables(packages.read(folder))))


def upload(client: ClientOf, folder: Path, outputs: Outputs) -> None:
    """Put packages into the bucket."""
    put = packages.upload(client("s3"), outputs["artifact_bucket"], packages.read(folder))
    say(f"Uploaded: {', '.join(put) or 'nothing, all is there'}")


def migrate(client: ClientOf, outputs: Outputs) -> None:
    """Bring the database to the newest version."""
    aliases = _aliases(client, outputs)
    told = functions.migrate(
        client("lambda", config=PATIENT),
        aliases.functions[functions.MIGRATE],
        aliases.newest(functions.MIGRATE),
    )
    say(f"The database's revision was {told['before']} and is {told['after']}")


def move(client: ClientOf, outputs: Outputs) -> None:
    """Look at the newest API, which nobody calls yet, and move all aliases."""
    aliases = _aliases(client, outputs)
    name = aliases.functions[functions.HTTP]
    functions.look_at(aliases.awslambda, name, aliases.newest(functions.HTTP))
    moved = aliases.move(lambda: look(client, outputs))
    say(f"Moved: {'; '.join(map(str, moved)) or 'nothing, all is at its newest version'}")


def look(client: ClientOf, outputs: Outputs) -> None:
    """Look at the API as clients see it."""
    cognito = client("cognito-idp")
    token = smoke.sign_in(cognito, outputs["user_pool_id"], outputs["sign_in_url"])
    if token is None:
        say(f"No program {smoke.PROGRAM!r} here: health and the door are looked at, no turn")
    smoke.look(outputs["url"], token)
    say(f"{outputs['url']} works")


def _aliases(client: ClientOf, outputs: Outputs) -> Aliases:
    return Aliases(
        codedeploy=client("codedeploy"),
        awslambda=client("lambda"),
        application=outputs["codedeploy_application"],
        functions=outputs["functions"],
        say=say,
    )


def say(line: str) -> None:
    """Tell whoever reads the pipeline's log, at once."""
    print(line, flush=True)  # noqa: T201 - a command's output


COMMANDS: Mapping[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "packages": (show, ("folder",)),
    "upload": (upload, ("folder", "outputs")),
    "migrate": (migrate, ("outputs",)),
    "move": (move, ("outputs",)),
    "smoke": (look, ("outputs",)),
}
"""Each command, and what it takes."""


def main(words: list[str] | None = None, client: ClientOf = boto3.client) -> int:
    """Do what a command says; 1 if it failed."""
    parser = argparse.ArgumentParser(prog="python -m infrastructure.delivery")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (do, takes) in COMMANDS.items():
        command = commands.add_parser(name, help=do.__doc__)
        for what in takes:
            command.add_argument(what, type=_READERS[what])
    given = vars(parser.parse_args(words))
    do, takes = COMMANDS[given["command"]]
    try:
        do(client, *(given[what] for what in takes))
    except ERRORS as error:
        print(f"{given['command']}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


def _outputs(path: str) -> Outputs:
    outputs: Outputs = json.loads(Path(path).read_text(encoding="utf-8"))
    return outputs


_READERS: Mapping[str, Callable[[str], object]] = {"folder": Path, "outputs": _outputs}


if __name__ == "__main__":
    sys.exit(main())
