"""Tokens: which are believed, and whose they are."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from prosa.adapters.jwt.authenticator import JwtAuthenticator
from prosa.adapters.jwt.token_rules import LEEWAY_SECONDS
from prosa.domain.errors import Forbidden, TokenRefused
from tests.identity import (
    CLIENT,
    FIRST_KEY,
    TENANT,
    Issuer,
    elliptic_key,
    rsa_key,
    running_issuer,
    segment,
)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
async def authenticator(issuer: Issuer) -> AsyncIterator[JwtAuthenticator]:
    async with issuer.authenticator() as authenticator:
        yield authenticator


async def test_a_customer_is_known_by_tenant_and_subject(
    issuer: Issuer, authenticator: JwtAuthenticator
) -> None:
    caller = await authenticator.caller_of(issuer.token(sub="rui", tenant_id="loja"))
    assert (caller.tenant_id, caller.name, caller.customer_id) == ("loja", "rui", "rui")


async def test_a_service_acts_for_any_customer(
    issuer: Issuer, authenticator: JwtAuthenticator
) -> None:
    caller = await authenticator.caller_of(issuer.token(sub="crm", role="service"))
    assert (caller.tenant_id, caller.name, caller.customer_id) == (TENANT, "crm", None)


@pytest.mark.parametrize("role", [["customer"], ["other", "customer"], ["service", "customer"]])
async def test_of_several_roles_the_narrowest_counts(
    issuer: Issuer, authenticator: JwtAuthenticator, role: list[str]
) -> None:
    caller = await authenticator.caller_of(issuer.token(role=role))
    assert caller.customer_id == "ana"


async def test_another_issuers_token_is_known_by_its_audience(
    issuer: Issuer, authenticator: JwtAuthenticator
) -> None:
    for audience in (CLIENT, ["other", CLIENT]):
        token = issuer.token(token_use=None, client_id="an-app", aud=audience)
        assert (await authenticator.caller_of(token)).name == "ana"


async def test_elliptic_keys_are_good_too(issuer: Issuer, authenticator: JwtAuthenticator) -> None:
    issuer.keys["curve"] = elliptic_key("curve")
    assert (await authenticator.caller_of(issuer.token(key_id="curve"))).name == "ana"


FAR = 1e300
NOW = int(Issuer().clock().timestamp())

WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "no end": {"exp": None},
    "an end that is a text": {"exp": str(NOW + 60)},
    "an end that is true": {"exp": True},
    "an end past all time": {"exp": 10**400},
    "an end that is no number": {"exp": float("nan")},
    "an end that never comes": {"exp": float("inf")},
    "an end that was": {"exp": NOW - 60},
    "a beginning to come": {"nbf": NOW + 60},
    "a beginning that is a list": {"nbf": []},
    "an issue to come": {"iat": NOW + 60},
    "no issuer": {"iss": None},
    "an issuer that is a list": {"iss": ["http://127.0.0.1"]},
    "another issuer": {"iss": "http://127.0.0.1"},
    "an id token of Cognito": {"token_use": "id", "client_id": None, "aud": CLIENT},
    "an id token that names a client": {"token_use": "id"},
    "a use that is a list": {"token_use": ["access"]},
    "an id token of another issuer": {"token_use": None, "aud": CLIENT, "nonce": "n"},
    "an id token with a hash": {"token_use": None, "aud": CLIENT, "at_hash": "h"},
    "another client": {"client_id": "another"},
    "no client": {"client_id": None},
    "an audience where a client should be": {"client_id": None, "aud": CLIENT},
    "no audience": {"token_use": None},
    "another audience": {"token_use": None, "aud": "another"},
    "clients that are no texts": {"client_id": [{"a": 1}, 7]},
    "a subject that is a number": {"sub": 7},
}


@pytest.mark.parametrize("changes", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
async def test_a_token_with_wrong_claims_is_refused(
    issuer: Issuer, authenticator: JwtAuthenticator, changes: dict[str, Any]
) -> None:
    with pytest.raises(TokenRefused):
        await authenticator.caller_of(issuer.token(**changes))


NOBODY: dict[str, dict[str, Any]] = {
    "no tenant": {"tenant_id": None},
    "an empty tenant": {"tenant_id": ""},
    "a tenant with a NUL": {"tenant_id": "a\0b"},
    "a tenant that cannot be written": {"tenant_id": "a\ud800"},
    "a tenant without end": {"tenant_id": "a" * 129},
    "tenants": {"tenant_id": ["acme"]},
    "no role": {"role": None},
    "an unknown role": {"role": "admin"},
    "a role inside another word": {"role": "customers"},
    "no subject": {"sub": None},
    "an empty subject": {"sub": ""},
}


@pytest.mark.parametrize("changes", NOBODY.values(), ids=NOBODY)
async def test_a_good_token_of_nobody_in_particular_is_forbidden(
    issuer: Issuer, authenticator: JwtAuthenticator, changes: dict[str, Any]
) -> None:
    with pytest.raises(Forbidden):
        await authenticator.caller_of(issuer.token(**changes))


def unsigned(issuer: Issuer, algorithm: str) -> str:
    header = {"alg": algorithm, "kid": FIRST_KEY}
    return f"{segment(header)}.{segment(issuer.claims())}."


def signed_with_the_public_key(issuer: Issuer) -> str:
    """Sign symmetrically with what everybody knows."""
    known = (
        rsa_key(FIRST_KEY)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415 - only here

    signing_input = f"{segment({'alg': 'HS256', 'kid': FIRST_KEY})}.{segment(issuer.claims())}"
    signature = HMACAlgorithm(HMACAlgorithm.SHA256).sign(signing_input.encode(), known)
    return f"{signing_input}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def with_header(issuer: Issuer, **changes: object) -> str:
    """Sign with the issuer's own key, under another header."""
    header = {"kid": FIRST_KEY, **changes}
    headers = {name: value for name, value in header.items() if value is not None}
    return jwt.encode(issuer.claims(), issuer.keys[FIRST_KEY], "RS256", headers=headers)


FORGED: dict[str, Callable[[Issuer], str]] = {
    "unsigned": lambda issuer: unsigned(issuer, "none"),
    "unsigned in capitals": lambda issuer: unsigned(issuer, "None"),
    "an empty signature": lambda issuer: unsigned(issuer, "RS256"),
    "signed with the public key": signed_with_the_public_key,
    "signed with another key": lambda issuer: issuer.token(key=rsa_key("another")),
    "signed with another kind of key": lambda issuer: issuer.token(key=elliptic_key("x")),
    "signed by another digest": lambda issuer: jwt.encode(
        issuer.claims(), issuer.keys[FIRST_KEY], "RS512", headers={"kid": FIRST_KEY}
    ),
    "without a key's id": lambda issuer: jwt.encode(
        issuer.claims(), issuer.keys[FIRST_KEY], "RS256"
    ),
    "with an unknown key's id": lambda issuer: with_header(issuer, kid="unknown"),
    "with what must be understood": lambda issuer: with_header(issuer, crit=["x"], x=1),
    "with claims of another": lambda issuer: ".".join(
        [
            issuer.token().split(".")[0],
            segment(issuer.claims(sub="rui")),
            issuer.token().split(".")[2],
        ]
    ),
    "claims that are a list": lambda issuer: jwt.PyJWS().encode(
        json.dumps([issuer.claims()]).encode(),
        issuer.keys[FIRST_KEY],
        "RS256",
        headers={"kid": FIRST_KEY},
    ),
    "longer than any": lambda issuer: issuer.token(more="x" * 10_000),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
async def test_a_forged_token_is_refused(
    issuer: Issuer, authenticator: JwtAuthenticator, forge: Callable[[Issuer], str]
) -> None:
    await authenticator.caller_of(issuer.token())
    with pytest.raises(TokenRefused):
        await authenticator.caller_of(forge(issuer))


async def test_a_key_that_is_too_short_signs_nothing(issuer: Issuer) -> None:
    short = rsa_key("short", bits=1_024)
    issuer.keys["short"] = short
    async with issuer.authenticator() as authenticator:
        with pytest.warns(jwt.InsecureKeyLengthWarning):
            token = issuer.token(key_id="short")
        with pytest.raises(TokenRefused):
            await authenticator.caller_of(token)


async def test_a_refusal_repeats_nothing_of_the_token(
    issuer: Issuer, authenticator: JwtAuthenticator
) -> None:
    for changes in (*WRONG_CLAIMS.values(), *NOBODY.values()):
        token = issuer.token(**(changes | {"email": "ana@example.com"}))
        with pytest.raises((TokenRefused, Forbidden)) as refused:
            await authenticator.caller_of(token)
        error: BaseException | None = refused.value
        assert error
        assert error.__suppress_context__ or error.__context__ is None
        for part in ("ana", *token.split(".")):
            assert part not in str(error)


async def test_a_token_ends_when_it_says_also_where_it_was_verified_before(
    issuer: Issuer, authenticator: JwtAuthenticator
) -> None:
    token = issuer.token(exp=NOW + 60)
    await authenticator.caller_of(token)
    issuer.clock.advance(60 + LEEWAY_SECONDS - 1)
    await authenticator.caller_of(token)
    issuer.clock.advance(1)
    with pytest.raises(TokenRefused, match="expired"):
        await authenticator.caller_of(token)


async def test_clocks_may_differ_a_little(issuer: Issuer, authenticator: JwtAuthenticator) -> None:
    token = issuer.token(nbf=NOW + LEEWAY_SECONDS, iat=NOW + LEEWAY_SECONDS)
    assert (await authenticator.caller_of(token)).name == "ana"


async def test_the_tokens_that_were_used_last_are_remembered_and_no_more(issuer: Issuer) -> None:
    async with issuer.authenticator(remembered=3) as authenticator:
        used, unused, third, fourth = (issuer.token(jti=str(number)) for number in range(4))
        for token in (used, unused, third, used, fourth):
            await authenticator.caller_of(token)
        known = set(authenticator._verified)
        assert known == {sha256(token.encode()).digest() for token in (used, third, fourth)}


async def test_tokens_themselves_are_not_kept(
    issuer: Issuer, authenticator: JwtAuthenticator
) -> None:
    token = issuer.token()
    await authenticator.caller_of(token)
    assert token not in repr(authenticator._verified)
