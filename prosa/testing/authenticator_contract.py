"""What every authenticator that asks for tokens promises."""

import pytest

from prosa.application.ports.authenticator import Authenticator
from prosa.domain.caller import Caller
from prosa.domain.errors import TokenMissing, TokenRefused


class AuthenticatorContract:
    """Subclass it with the fixtures `authenticator`, `token`, a good one, and `caller`, its own."""

    async def test_a_token_says_who_asks_each_time_that_it_comes(
        self, authenticator: Authenticator, token: str, caller: Caller
    ) -> None:
        assert [await authenticator.caller_of(token) for _ in range(2)] == [caller, caller]

    async def test_without_a_token_nobody_is_known(self, authenticator: Authenticator) -> None:
        with pytest.raises(TokenMissing):
            await authenticator.caller_of(None)

    @pytest.mark.parametrize("junk", ["", ".", "..", "a.b.c", "null", "ação", "{}", "x" * 10_000])
    async def test_what_is_no_token_is_refused_and_not_repeated(
        self, authenticator: Authenticator, junk: str
    ) -> None:
        with pytest.raises(TokenRefused) as refused:
            await authenticator.caller_of(junk)
        assert len(str(refused.value)) < 100

    async def test_a_token_that_differs_by_a_letter_is_refused(
        self, authenticator: Authenticator, token: str
    ) -> None:
        await authenticator.caller_of(token)
        place = len(token) // 2
        letter = "A" if token[place] != "A" else "B"
        with pytest.raises(TokenRefused):
            await authenticator.caller_of(token[:place] + letter + token[place + 1 :])
