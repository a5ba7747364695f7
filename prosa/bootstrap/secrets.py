"""Reads settings that are secrets, or that refer to one."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module

from pydantic import SecretStr

from prosa.application.ports.secret_store import Secret, SecretUnavailable, SecretUnreadable
from prosa.bootstrap.packages import required_packages
from prosa.domain.errors import ConfigurationError

logger = logging.getLogger(__name__)


@asynccontextmanager
async def reading(setting: str, value: SecretStr | None) -> AsyncIterator[Secret | None]:
    """Give what reads a secret setting, be it the secret itself or what refers to one.

    Raises ConfigurationError where what it refers to can be read by nobody.
    """
    from prosa.adapters.secrets_manager.references import is_reference, reader

    if value is None:
        yield None
        return
    text = value.get_secret_value()
    if not is_reference(text):
        yield Secret(read=partial(_itself, text))
        return
    with required_packages(f"{setting} refers to a secret of AWS", extra="aws"):
        import_module("boto3")
        from prosa.adapters.secrets_manager.secret_store import AwsSecretStore
    from prosa.adapters.cached.secret_store import CachedSecretStore

    store = AwsSecretStore()
    secrets = CachedSecretStore(store, timer=time.monotonic)
    secret = Secret(read=reader(text, secrets), doubt=partial(secrets.doubt, text))
    try:
        await _require_readable(setting, secret)
        yield secret
    finally:
        store.close()


async def _itself(text: str) -> str:
    return text


async def _require_readable(setting: str, secret: Secret) -> None:
    try:
        await secret.read()
    except SecretUnreadable as error:
        raise ConfigurationError(f"{setting}: {error}") from error
    except SecretUnavailable as error:
        logger.warning("starting without %s: %s", setting, error)
