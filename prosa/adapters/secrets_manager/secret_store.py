"""AWS Secrets Manager and Parameter Store as the secret store.

Sources: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html and
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
"""

import asyncio
import json
import logging

from prosa.adapters.aws_client import AwsClient, AwsFailure, FailureKind, TimeLimits
from prosa.adapters.secrets_manager.rds_token import rds_token
from prosa.adapters.secrets_manager.references import RDS, SECRETS_MANAGER, Reference, parsed
from prosa.application.ports.secret_store import SecretStore, SecretUnavailable, SecretUnreadable

_PERMISSIONS = {
    "secretsmanager": "secretsmanager:GetSecretValue",
    "ssm": "ssm:GetParameter",
}
_WRITES_ANSWERS_DOWN = "botocore.parsers"
"""Whose debug log holds the body of every answer."""


class AwsSecretStore(SecretStore):
    """Reads what references of all kinds name, anew each time. Close it with `close`.

    Of a secret it reads the version `AWSCURRENT`; a parameter is decrypted; a token is signed.
    """

    def __init__(self, *, limits: TimeLimits | None = None) -> None:
        self._secrets_manager = AwsClient("secretsmanager", limits or TimeLimits())
        self._parameters = AwsClient("ssm", limits or TimeLimits())
        logging.getLogger(_WRITES_ANSWERS_DOWN).setLevel(logging.INFO)

    async def get(self, reference: str) -> str:
        """Read the secret, or one key of it."""
        place = parsed(reference)
        try:
            text = await self._text(place)
        except AwsFailure as error:
            raise _translated(error, reference, place) from error
        if text is None:
            raise SecretUnreadable(f"cannot read {reference}: it holds bytes, and no text")
        return text if place.key is None else _value(text, place.key, reference)

    def close(self) -> None:
        """Close the connections."""
        self._secrets_manager.close()
        self._parameters.close()

    async def _text(self, place: Reference) -> str | None:
        if place.store == RDS:
            return await asyncio.to_thread(rds_token, place.name)
        if place.store == SECRETS_MANAGER:
            answer = await self._secrets_manager.call("get_secret_value", SecretId=place.name)
            return answer.get("SecretString")
        answer = await self._parameters.call("get_parameter", Name=place.name, WithDecryption=True)
        text: str | None = answer.get("Parameter", {}).get("Value")
        return text


def _value(text: str, key: str, reference: str) -> str:
    """Take one value out of a JSON object. Neither an error nor what it was raised from quotes."""
    try:
        value = json.loads(text)[key]
    except (ValueError, LookupError, TypeError):
        value = None
    if not isinstance(value, str):
        raise SecretUnreadable(
            f"cannot read {reference}: the secret is no JSON object with a text under {key!r}"
        )
    return value


def _translated(
    error: AwsFailure, reference: str, place: Reference
) -> SecretUnavailable | SecretUnreadable:
    match error.kind:
        case FailureKind.DENIED:
            needed = f"credentials, a region, and the permission {_PERMISSIONS[place.store]}"
            reason = f"AWS does not let this process, which needs {needed}"
        case FailureKind.MISSING:
            reason = "there is no such secret in this account and region"
        case FailureKind.REFUSED:
            reason = "AWS refused"
        case FailureKind.AWAY:
            return SecretUnavailable(
                f"cannot read {reference}: AWS cannot be reached, or failed ({error.code})"
            )
    return SecretUnreadable(f"cannot read {reference}: {reason} ({error.code})")
