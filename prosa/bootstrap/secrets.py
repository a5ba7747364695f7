"""Reads settings that are secrets, or that refer to one."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib import import_module

from pydantic import SecretStr

from prosa.application.ports.secret_store import (
    Secret,
    SecretStore,
    SecretUnavailable,
    SecretUnreadable,
)
from prosa.bootstrap.packages import required_packages
from prosa.domain.errors import ConfigurationError
from prosa.settings import Referred, Settings, is_reference, variable

logger = logging.getLogger(__name__)


def read_settings(**values: object) -> Settings:
    """Make settings of the environment, `.env` and keywords, and read what they refer to, once.

    Blocks while it reads. What READ_AGAIN names stays a reference. Raises ConfigurationError.
    """
    references = Settings.references(**values)
    if references:
        # In a thread, since whoever calls may run an event loop.
        with ThreadPoolExecutor(1) as thread:
            values |= thread.submit(asyncio.run, _read_once(references)).result()
    return Settings(**values)


async def _read_once(references: Mapping[str, str]) -> dict[str, Referred]:
    settings = " and ".join(map(variable, references))
    with _opened_store(settings) as store:
        texts = await asyncio.gather(
            *(_text_of(variable(name), text, store) for name, text in references.items())
        )
    return {
        name: Referred(reference=reference, text=text)
        for (name, reference), text in zip(references.items(), texts, strict=True)
    }


async def _text_of(setting: str, reference: str, store: SecretStore) -> str:
    try:
        return await store.get(reference)
    except (SecretUnavailable, SecretUnreadable) as error:
        raise ConfigurationError(f"{setting}: {error}") from error


@asynccontextmanager
async def reading(setting: str, value: SecretStr | None) -> AsyncIterator[Secret | None]:
    """Give what reads a secret setting, be it the secret itself or what refers to one.

    Raises ConfigurationError where what it refers to can be read by nobody.
    """
    if value is None:
        yield None
        return
    text = value.get_secret_value()
    if not is_reference(text):
        yield Secret(read=partial(_itself, text))
        return
    from prosa.adapters.cached.secret_store import CachedSecretStore

    with _opened_store(setting) as store:
        secrets = CachedSecretStore(store, timer=time.monotonic)
        secret = Secret(read=partial(secrets.get, text), doubt=partial(secrets.doubt, text))
        await _require_readable(setting, secret)
        yield secret


@contextmanager
def _opened_store(setting: str) -> Iterator[SecretStore]:
    with required_packages(f"{setting} refers to a secret of AWS", extra="aws"):
        import_module("botocore")
        from prosa.adapters.secrets_manager.secret_store import AwsSecretStore

    store = AwsSecretStore()
    try:
        yield store
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
