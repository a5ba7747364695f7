"""Says which extra to install where a package is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from prosa.domain.errors import ConfigurationError


@contextmanager
def required_packages(reason: str, *, extra: str) -> Iterator[None]:
    """Turn a package that is not installed into a sentence that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "prosa":
            raise
        raise ConfigurationError(f"{reason}: install prosa[{extra}]") from error
