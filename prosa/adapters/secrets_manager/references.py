"""References to secrets, as settings write them.

`secretsmanager:NAME` is a secret's whole text, `ssm:NAME` a parameter's; `#KEY` behind either is
one value of a JSON object. A NAME may be an ARN; of a parameter it may end in `:VERSION`.
`rds:USER@HOST:PORT` is a token by which IAM lets this process log in to Postgres.
"""

from dataclasses import dataclass

from prosa.application.ports.secret_store import SecretUnreadable

SECRETS_MANAGER = "secretsmanager"
PARAMETER_STORE = "ssm"
RDS = "rds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where a secret is: in which store, by which name, and of which key of its JSON."""

    store: str
    name: str
    key: str | None


def parsed(text: str) -> Reference:
    """Read a reference. Raises SecretUnreadable."""
    store, _, place = text.partition(":")
    name, has_key, key = place.partition("#")
    if store not in {SECRETS_MANAGER, PARAMETER_STORE, RDS} or not name or (has_key and not key):
        raise SecretUnreadable(
            f"cannot read {text}: write secretsmanager:NAME, secretsmanager:NAME#KEY, ssm:NAME "
            "or rds:USER@HOST:PORT"
        )
    return Reference(store=store, name=name, key=key or None)
