"""Secrets kept in this process."""

from collections.abc import Mapping

from prosa.application.ports.secret_store import SecretStore, SecretUnavailable, SecretUnreadable


class InMemorySecretStore(SecretStore):
    """Gives the secrets it was given; `available` says whether it can be reached."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.secrets = dict(secrets)
        self.available = True
        self.asked: list[str] = []
        """The references that it was asked for, in order."""

    async def get(self, reference: str) -> str:
        """Get the secret of this reference."""
        self.asked.append(reference)
        if not self.available:
            raise SecretUnavailable(f"cannot read {reference}: its store cannot be reached")
        if reference not in self.secrets:
            raise SecretUnreadable(f"cannot read {reference}: there is no such secret")
        return self.secrets[reference]
