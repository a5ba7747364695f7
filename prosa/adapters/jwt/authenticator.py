"""The Authenticator that verifies JSON Web Tokens."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import jwt

from prosa.adapters.jwt.key_set import Keys, KeySet
from prosa.adapters.jwt.token_rules import Claims, TokenRules, Validity, validity_of
from prosa.application.ports.authenticator import Authenticator
from prosa.domain.caller import Caller
from prosa.domain.errors import TokenMissing, TokenRefused
from prosa.domain.identifiers import Clock

MAX_TOKEN_CHARACTERS = 8_192
VERIFIED_TOKENS = 4_096
"""How many tokens are known again: verifying one takes a hundred microseconds."""

_OPTIONS: jwt.types.Options = {
    "enforce_minimum_key_length": True,
    # Token rules look at these, by our clock and in Cognito's way.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    caller: Caller
    validity: Validity
    keys: Keys
    """All keys as they were: with others, the token is verified again."""


class JwtAuthenticator(Authenticator):
    """Believes tokens that one issuer has signed for our clients."""

    def __init__(
        self, rules: TokenRules, keys: KeySet, *, clock: Clock, remembered: int = VERIFIED_TOKENS
    ) -> None:
        self._rules = rules
        self._remembered = remembered
        self._keys = keys
        self._clock = clock
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def caller_of(self, token: str | None) -> Caller:
        """Verify the token, or know it again by its digest, and say who asks."""
        if token is None:
            raise TokenMissing
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._verified.get(digest)
        if verified is None or verified.keys is not self._keys.current():
            verified = await self._verify(token)
            self._remember(digest, verified)
        else:
            self._verified.move_to_end(digest)
        verified.validity.require(self._clock())
        return verified.caller

    async def aclose(self) -> None:
        """Break off what runs in the background."""
        await self._keys.close()

    async def _verify(self, token: str) -> _Verified:
        claims = await self._signed_claims(token)
        validity = validity_of(claims)
        validity.require(self._clock())
        self._rules.require_for_us(claims)
        return _Verified(
            caller=self._rules.caller_of(claims), validity=validity, keys=self._keys.current()
        )

    async def _signed_claims(self, token: str) -> Claims:
        """Read the claims where the issuer has signed them. Raises TokenRefused."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise TokenRefused(f"the token has more than {MAX_TOKEN_CHARACTERS} characters")
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = await self._keys.find(key_id) if key_id else None
            if key is None:
                raise TokenRefused("the token was signed with a key that its issuer does not name")
            return jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],  # of those that a key set may have
                issuer=self._rules.issuer,
                options=_OPTIONS,
            )
        except (jwt.PyJWTError, ValueError) as error:
            # The cause may quote the token.
            raise TokenRefused(
                f"the token is not valid: {_REASONS.get(type(error), _JUNK)}"
            ) from None

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        if len(self._verified) > self._remembered:
            self._verified.popitem(last=False)


_JUNK = "it cannot be read"
_REASONS: dict[type[Exception], str] = {
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.InvalidAlgorithmError: "its algorithm is not its key's",
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.MissingRequiredClaimError: "it names no issuer",
}
