"""Whom a request names: where nobody is authenticated, that has to be this machine.

A page of any site may have its own name lead to 127.0.0.1 (DNS rebinding), and its browser then
lets it read what is there. It sends that name as `Host`.
"""

import ipaddress
import re
from collections.abc import Collection, Iterable

from prosa.domain.errors import Forbidden

_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")


def require_own_host(headers: Iterable[tuple[bytes, bytes]], names: Collection[str]) -> None:
    """Raise Forbidden unless it is `localhost`, a loopback address, or one of `names`."""
    hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
    if not hosts or not all(_is_own(host, names) for host in hosts):
        raise Forbidden(
            "without authentication (PROSA_AUTH=none) only this machine is answered: send the "
            "request to localhost or 127.0.0.1"
        )


def _is_own(host: str, names: Collection[str]) -> bool:
    read = _HOST.fullmatch(host)
    if read is None:
        return False
    name = read[1].strip("[]")
    return name == "localhost" or name in names or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
