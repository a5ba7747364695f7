"""References to secrets, as settings write them.

`secretsmanager:NAME` is a secret's whole text, `ssm:NAME` a parameter's; `#KEY` behind either is
one value of a JSON object. A NAME may be an ARN; of a parameter it may end in `:VERSION`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prosa.application.ports.secret_store import SecretStore, SecretUnreadable

SECRETS_MANAGER = "secretsmanager"
PARAMETER_STORE = "ssm"
_BEGINNINGS = (f"{SECRETS_MANAGER}:", f"{PARAMETER_STORE}:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where a secret is: in which store, by which name, and of which key of its JSON."""

    store: str
    name: str
    key: str | None


def is_reference(text: str) -> bool:
    """Whether a setting's text refers to a secret instead of being one."""
    return text.startswith(_BEGINNINGS)


def parsed(text: str) -> Reference:
    """Read a reference. Raises SecretUnreadable."""
    store, _, place = text.partition(":")
    name, has_key, key = place.partition("#")
    if not is_reference(text) or not name or (has_key and not key):
        raise SecretUnreadable(
            f"cannot read {text}: write secretsmanager:NAME, secretsmanager:NAME#KEY or ssm:NAME"
        )
    return Reference(store=store, name=name, key=key or None)


def reader(text: str, secrets: SecretStore) -> Callable[[], Awaitable[str]]:
    """Make what gives a setting's value: what it refers to now, or else the text itself."""

    async def read() -> str:
        return await secrets.get(text) if is_reference(text) else text

    return read
