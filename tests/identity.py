"""An issuer of tokens on the loopback: real keys, and a server of them that may break."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import cache, partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from prosa.adapters.jwt.authenticator import VERIFIED_TOKENS, JwtAuthenticator
from prosa.adapters.jwt.key_set import KeySet
from prosa.adapters.jwt.key_source import read_address
from prosa.adapters.jwt.token_rules import TokenRules
from prosa.testing.builders import VirtualClock

CLIENT = "web-chat"
TENANT = "acme"
FIRST_KEY = "first"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Timer = Callable[[], float]


@cache
def rsa_key(name: str, bits: int = 2_048) -> rsa.RSAPrivateKey:
    """Make a key once for all tests: it takes a while."""
    assert name
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


@cache
def elliptic_key(name: str) -> ec.EllipticCurvePrivateKey:
    assert name
    return ec.generate_private_key(ec.SECP256R1())


def public(key: Key) -> dict[str, Any]:
    """Describe the public half of a key as a JSON Web Key."""
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


class Issuer:
    """Signs tokens, and serves its keys until told otherwise."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.url = ""
        self.keys: dict[str, Key] = {FIRST_KEY: rsa_key(FIRST_KEY)}
        self.fetches = 0
        self.asked = asyncio.Event()
        self.answer: bytes | None = None
        """What to answer instead of the keys; nothing at all where it is empty."""

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/.well-known/jwks.json"

    @property
    def key_set(self) -> dict[str, Any]:
        described = {key_id: public(key) for key_id, key in self.keys.items()}
        return {"keys": [{"kid": key_id, "use": "sig", **key} for key_id, key in described.items()]}

    def claims(self, **changes: object) -> dict[str, object]:
        """Claim what a customer's access token of Cognito does; None leaves a claim out."""
        now = int(self.clock().timestamp())
        claims: dict[str, object] = {
            "iss": self.url,
            "sub": "ana",
            "client_id": CLIENT,
            "token_use": "access",
            "tenant_id": TENANT,
            "role": "customer",
            "iat": now,
            "exp": now + 3_600,
        }
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, *, key_id: str = FIRST_KEY, key: Key | None = None, **changes: object) -> str:
        """Sign what `claims` gives."""
        key = key or self.keys[key_id]
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        # Not jwt.encode, which refuses some of what must not be believed.
        claims = json.dumps(self.claims(**changes)).encode()
        return jwt.PyJWS().encode(claims, key, algorithm, headers={"kid": key_id})

    def customer(self, customer_id: str = "ana", tenant: str = TENANT) -> dict[str, str]:
        """Make the header of a customer."""
        return bearer(self.token(sub=customer_id, tenant_id=tenant))

    def service(self, tenant: str = TENANT) -> dict[str, str]:
        """Make the header of a program of the tenant's."""
        return bearer(self.token(sub="back-end", role="service", tenant_id=tenant))

    def rules(self) -> TokenRules:
        return TokenRules(
            issuer=self.url,
            client_ids=frozenset({CLIENT}),
            tenant_claim="tenant_id",
            role_claim="role",
            customer_claim="sub",
        )

    @asynccontextmanager
    async def authenticator(
        self, *, timer: Timer = time.monotonic, remembered: int = VERIFIED_TOKENS
    ) -> AsyncIterator[JwtAuthenticator]:
        """Prepare what believes this issuer."""
        keys = KeySet(partial(read_address, self.jwks_url), timer=timer)
        authenticator = JwtAuthenticator(
            self.rules(), keys, clock=self.clock, remembered=remembered
        )
        async with aclosing(authenticator):
            yield authenticator

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request with the keys, or with what was told; elsewhere with the keys."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.fetches += 1
        self.asked.set()
        self.asked.clear()
        answer = self.answer
        if answer is None or not head.startswith(b"GET /.well-known/jwks.json "):
            answer = ok(json.dumps(self.key_set).encode())
        if answer:
            writer.write(answer)
            await writer.drain()
        else:
            await reader.read()
        writer.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def ok(body: bytes, *headers: str) -> bytes:
    """Write an answer that ends with its connection."""
    lines = ("HTTP/1.1 200 OK", "Connection: close", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def segment(content: object) -> str:
    """Write a part of a token: JSON in base64url."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@asynccontextmanager
async def running_issuer() -> AsyncIterator[Issuer]:
    """Run an issuer's server."""
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    issuer.url = f"http://{host}:{port}"
    try:
        yield issuer
    finally:
        server.close()
