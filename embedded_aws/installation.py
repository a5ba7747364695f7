"""How an installation of Prosa finds its account: settings, and a file of them for a shell."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded_aws.account import BUS, Account
from embedded_aws.database import REFERENCE
from prosa.domain.errors import ConfigurationError

FILE = Path(".prosa") / "embedded_aws.env"
"""Where a second terminal finds what runs; it is there for as long as it runs."""

_OURS = ("AWS_", "PROSA_")

MODEL = "bedrock:local.llama-cpp-v1:0"
"""An id as Bedrock has them, for the model behind it: nothing else is told by it."""


def variables_for(
    account: Account, *, address: str, database: str, turn_runner: str
) -> dict[str, str]:
    """Give the settings of an installation in an account, which is at `address`."""
    return {
        "PROSA_ENVIRONMENT": "development",
        "PROSA_MODELS": MODEL,
        "PROSA_DATABASE_URL": database.replace("postgresql:", "postgresql+asyncpg:"),
        "PROSA_DATABASE_PASSWORD": REFERENCE,
        "PROSA_EVENT_BUS": f"eventbridge:{BUS}",
        "PROSA_INBOUND_QUEUE": account.inbound_queue,
        "PROSA_REPLY_QUEUE": account.reply_queue,
        "PROSA_TURN_RUNNER": turn_runner,
        "PROSA_AUTH": "jwt",
        "PROSA_JWT_ISSUER": account.issuer,
        "PROSA_JWT_CLIENT_IDS": account.client_id,
        "PROSA_JWKS_URL": f"{address}/{account.pool}/.well-known/jwks.json",
        # As decision 17 sets Cognito up: a client is a tenant, a group is a role.
        "PROSA_JWT_TENANT_CLAIM": "client_id",
        "PROSA_JWT_ROLE_CLAIM": "cognito:groups",
        "PROSA_JWT_CUSTOMER_CLAIM": "sub",
    }


@contextmanager
def file_written() -> Iterator[None]:
    """Write the variables of this process for others, who may read them for as long as it runs."""
    variables = {name: value for name, value in os.environ.items() if name.startswith(_OURS)}
    FILE.parent.mkdir(mode=0o700, exist_ok=True)
    lines = (f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    FILE.write_text("".join(lines), encoding="utf-8")
    try:
        yield
    finally:
        FILE.unlink(missing_ok=True)


def read_file() -> None:
    """Take the variables over into this process. Raises ConfigurationError."""
    try:
        lines = FILE.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigurationError(f"there is no {FILE} here: start make run-aws first") from error
    for line in lines:
        _, assignment = shlex.split(line)
        name, _, value = assignment.partition("=")
        os.environ[name] = value
