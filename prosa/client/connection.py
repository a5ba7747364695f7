"""What both clients share of their connections: address, headers, bodies, what goes wrong."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx2

from prosa.client.errors import ClientError, ServerUnreachable


def address_of(url: str) -> httpx2.URL:
    """Read a server's address. Raises ValueError, without the URL: it might hold a password."""
    try:
        address = httpx2.URL(url.rstrip("/"))
    except (AttributeError, httpx2.InvalidURL):
        raise ValueError("the server's url cannot be read") from None
    if address.scheme not in {"http", "https"} or not address.host:
        raise ValueError("the server's url should begin with http:// or https:// and a host")
    if address.userinfo:
        raise ValueError("the server's url holds a user or password; give a token instead")
    return address


def require_limits(seconds: float, max_tries: int) -> None:
    """Raise ValueError where a caller leaves no time, or no try."""
    if seconds <= 0:
        raise ValueError(f"seconds is {seconds}; it should be more than 0")
    if max_tries < 1:
        raise ValueError(f"max_tries is {max_tries}; it should be 1 or more")


def written(body: Mapping[str, object] | None) -> bytes | None:
    """Write a body as JSON in ASCII, in which any text can be said."""
    return None if body is None else json.dumps(body).encode("ascii")


def headers_of(headers: Mapping[str, str], token: str | None) -> dict[str, str]:
    """Complete a request's headers."""
    common = {"Accept": "application/json", "Content-Type": "application/json"}
    authorization = {"Authorization": f"Bearer {token}"} if token else {}
    return {**common, **authorization, **headers}


@contextmanager
def translated(address: httpx2.URL) -> Iterator[None]:
    """Tell what goes wrong with a connection as a ClientError."""
    try:
        yield
    except (httpx2.LocalProtocolError, UnicodeEncodeError):
        # Not as its cause: it quotes the header, which may be the token.
        raise ClientError(
            "a header cannot be sent: tokens and idempotency keys are printable ASCII"
        ) from None
    except TimeoutError as error:
        raise ServerUnreachable(f"{_place(address)} takes longer than its caller waits") from error
    except httpx2.HTTPError as error:
        says = str(error) or type(error).__name__
        raise ServerUnreachable(f"{_place(address)} does not answer: {says}") from error


def _place(address: httpx2.URL) -> str:
    return f"{address.scheme}://{address.netloc.decode()}"
