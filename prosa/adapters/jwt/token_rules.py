"""What a token has to claim, once its signature has been verified, and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from prosa.domain.caller import Caller
from prosa.domain.errors import Forbidden, TokenRefused
from prosa.domain.identifiers import TenantId

Claims = Mapping[str, object]

LEEWAY_SECONDS = 10.0
"""How far the issuer's clock may be from ours."""

END_OF_TIME = 1e11
"""Seconds since 1970 that nothing reasonable is later than; neither infinity nor nan is less."""

MAX_NAME_CHARACTERS = 128

CUSTOMER, SERVICE = "customer", "service"
"""The roles: a customer of the tenant's, and a program of the tenant's that acts for any."""

_ONLY_IN_ID_TOKENS = ("at_hash", "c_hash", "nonce")
"""Claims that OpenID Connect defines for id tokens: its other tokens do not say what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """From when to when a token holds, in seconds since 1970; it has no beginning where 0."""

    begins: float
    ends: float

    def require(self, now: datetime) -> None:
        """Raise TokenRefused where it does not hold."""
        seconds = now.timestamp()
        if seconds >= self.ends + LEEWAY_SECONDS:
            raise TokenRefused("the token has expired; get a new one")
        if seconds < self.begins - LEEWAY_SECONDS:
            raise TokenRefused("the token is not valid yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Whose tokens are good, and which of their claims say who asks."""

    issuer: str
    client_ids: frozenset[str]
    """The clients, or audiences, whose tokens are meant for us."""
    tenant_claim: str
    role_claim: str
    customer_claim: str

    def require_for_us(self, claims: Claims) -> None:
        """Raise TokenRefused unless it is an access token of one of our clients.

        Cognito's say `token_use` and `client_id`, and have no audience (Cognito developer guide,
        "Understanding the access token"); those of other issuers have an audience.
        """
        token_use = claims.get("token_use")
        found = claims.get("aud") if token_use is None else claims.get("client_id")
        if token_use not in (None, "access") or any(it in claims for it in _ONLY_IN_ID_TOKENS):
            raise TokenRefused("the token is no access token")
        if not any(client in self.client_ids for client in _texts(found)):
            raise TokenRefused("the token was made for another client or audience")

    def caller_of(self, claims: Claims) -> Caller:
        """Say who asks. Raises Forbidden where the claims do not say all of it."""
        tenant_id = TenantId(_name(claims, self.tenant_claim))
        subject = _name(claims, "sub")
        roles = _texts(claims.get(self.role_claim))
        if CUSTOMER in roles:  # the narrower, where there are both
            customer_id = _name(claims, self.customer_claim)
            return Caller(tenant_id=tenant_id, name=subject, customer_id=customer_id)
        if SERVICE in roles:
            return Caller(tenant_id=tenant_id, name=subject)
        raise Forbidden(
            f"the token's claim {self.role_claim} names neither {CUSTOMER} nor {SERVICE}"
        )


def validity_of(claims: Claims) -> Validity:
    """Read from when to when a token holds. Raises TokenRefused where it has no end."""
    begins = [_seconds(claims, name) for name in ("nbf", "iat") if name in claims]
    return Validity(begins=max(begins, default=0.0), ends=_seconds(claims, "exp"))


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or not 0 < value < END_OF_TIME:
        raise TokenRefused(f"the token's claim {name} is missing, or no number")
    return value


def _texts(value: object) -> tuple[str, ...]:
    """Read a claim that is a text, or a list of some."""
    values = value if isinstance(value, list) else [value]
    return tuple(text for text in values if isinstance(text, str))


def _name(claims: Claims, claim: str) -> str:
    """Read a claim that has to name somebody, in a form that can be stored."""
    value = claims.get(claim)
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= MAX_NAME_CHARACTERS
        or not value.isprintable()
    ):
        raise Forbidden(
            f"the token's claim {claim} is missing, or no text of 1 to {MAX_NAME_CHARACTERS} "
            "printable characters"
        )
    return value
