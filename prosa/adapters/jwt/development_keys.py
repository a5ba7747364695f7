"""A key pair in a folder, to make tokens with while developing."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

from prosa.domain.errors import ConfigurationError

ALGORITHM = "ES256"
KEY_FILE, KEY_SET_FILE = "signing_key.pem", "jwks.json"


class DevelopmentKeys:
    """Signs tokens with the key in a folder; makes both where they are missing."""

    def __init__(self, folder: Path) -> None:
        """Read the key pair, or make it. Raises ConfigurationError."""
        self.key_set_file = folder / KEY_SET_FILE
        key_file = folder / KEY_FILE
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not key_file.exists():
                _write_secret(key_file, _new_key())
            self._key = _signing_key(key_file.read_bytes())
            self._public = _public_key(self._key.public_key())
            self.key_set_file.write_text(json.dumps({"keys": [self._public]}))
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"there can be no key pair in {folder}: {error}; name another --folder, or remove "
                f"{KEY_FILE} from it"
            ) from error

    def sign(self, claims: Mapping[str, object]) -> str:
        """Make a token of the claims."""
        return jwt.encode(
            dict(claims), self._key, algorithm=ALGORITHM, headers={"kid": self._public["kid"]}
        )


def _new_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_secret(file: Path, text: bytes) -> None:
    """Write a file that only its owner can ever read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(text)


def _signing_key(text: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(text, password=None)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    raise ValueError(f"{KEY_FILE} holds no key for {ALGORITHM}")


def _public_key(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Describe a key, with its thumbprint (RFC 7638) as its id."""
    public: dict[str, str] = ECAlgorithm.to_jwk(key, as_dict=True)
    canonical = json.dumps(public, sort_keys=True, separators=(",", ":"))
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest())
    return {**public, "kid": thumbprint.decode().rstrip("="), "alg": ALGORITHM, "use": "sig"}
