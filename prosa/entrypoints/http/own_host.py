"""Whom a request names: where nobody is authenticated, that has to be this machine.

A page of any site may have its own name lead to 127.0.0.1 (DNS rebinding), and its browser then
lets it read what is there. It sends that name as `Host`.
"""

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from prosa.domain.errors import Forbidden

_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?")


def require_own_host(hosts: Sequence[str], names: frozenset[str]) -> None:
    """Raise Forbidden unless each is `localhost`, a loopback address, or one of `names`."""
    if not hosts or not all(_is_own(host, names) for host in hosts):
        raise Forbidden(
            "without authentication (PROSA_AUTH=none) only this machine is answered: send the "
            "request to localhost or 127.0.0.1"
        )


@lru_cache(maxsize=16)  # nearly always it is the same
def _is_own(host: str, names: frozenset[str]) -> bool:
    read = _HOST.fullmatch(host.lower())
    if read is None:
        return False
    name = read[1].strip("[]")
    return name == "localhost" or name in names or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
