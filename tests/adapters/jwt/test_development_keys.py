"""Keys for development: made once, for their owner's eyes only."""

import json
from pathlib import Path

import jwt
import pytest

from prosa.adapters.jwt.development_keys import KEY_FILE, DevelopmentKeys
from prosa.adapters.jwt.key_set import usable_keys
from prosa.domain.errors import ConfigurationError


def test_a_token_is_good_by_the_key_set_beside_the_key(tmp_path: Path) -> None:
    keys = DevelopmentKeys(tmp_path / "new" / "folder")
    token = keys.sign({"sub": "ana"})
    known = usable_keys(keys.key_set_file.read_bytes(), place="there")
    key = known[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key) == {"sub": "ana"}


def test_the_key_is_its_owners_and_the_key_set_has_none_of_it(tmp_path: Path) -> None:
    keys = DevelopmentKeys(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / KEY_FILE).stat().st_mode & 0o777 == 0o600
    [public] = json.loads(keys.key_set_file.read_text())["keys"]
    assert set(public) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_the_same_folder_has_the_same_key(tmp_path: Path) -> None:
    first = DevelopmentKeys(tmp_path).key_set_file.read_text()
    assert DevelopmentKeys(tmp_path).key_set_file.read_text() == first


@pytest.mark.parametrize("content", ["", "no key", None])
def test_what_is_no_key_is_said(tmp_path: Path, content: str | None) -> None:
    if content is None:
        (tmp_path / KEY_FILE).mkdir()
    else:
        (tmp_path / KEY_FILE).write_text(content)
    with pytest.raises(ConfigurationError, match="name another --folder"):
        DevelopmentKeys(tmp_path)


def test_a_key_of_another_kind_is_said(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - only here
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    from tests.identity import rsa_key  # noqa: PLC0415 - only here

    pem = rsa_key("other").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / KEY_FILE).write_bytes(pem)
    with pytest.raises(ConfigurationError, match="no key for ES256"):
        DevelopmentKeys(tmp_path)
