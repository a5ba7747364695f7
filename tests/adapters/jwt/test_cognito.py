"""Tokens of Cognito, as moto makes them: an access token is good, an id token is not."""

import urllib.request
from contextlib import aclosing

import pytest

from embedded_aws.moto_server import REGION, own_client
from prosa.adapters.jwt.authenticator import JwtAuthenticator
from prosa.adapters.jwt.key_set import KeySet
from prosa.adapters.jwt.token_rules import TokenRules
from prosa.bootstrap.moments import now
from prosa.domain.errors import TokenRefused

SECRET = "Correct-Horse-7"  # noqa: S105 - of an account that is made up here


@pytest.mark.usefixtures("aws")
async def test_an_access_token_of_a_pool_is_good_and_an_id_token_is_not(moto_address: str) -> None:
    with own_client("cognito-idp") as cognito:
        pool = cognito.create_user_pool(PoolName="customers")["UserPool"]["Id"]
        client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="web")
        client_id = client["UserPoolClient"]["ClientId"]
        cognito.admin_create_user(UserPoolId=pool, Username="ana")
        cognito.admin_set_user_password(
            UserPoolId=pool, Username="ana", Password=SECRET, Permanent=True
        )
        cognito.create_group(UserPoolId=pool, GroupName="customer")
        cognito.admin_add_user_to_group(UserPoolId=pool, Username="ana", GroupName="customer")
        tokens = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "ana", "PASSWORD": SECRET},
        )["AuthenticationResult"]

    async def keys() -> bytes:
        url = f"{moto_address}/{pool}/.well-known/jwks.json"
        with urllib.request.urlopen(url) as answer:  # noqa: S310, ASYNC210 - moto's own address
            return bytes(answer.read())

    rules = TokenRules(
        issuer=f"https://cognito-idp.{REGION}.amazonaws.com/{pool}",
        client_ids=frozenset({client_id}),
        tenant_claim="client_id",  # one client for each tenant needs no trigger in the pool
        role_claim="cognito:groups",
        customer_claim="sub",
    )
    key_set = KeySet(keys, timer=lambda: 0.0)
    async with aclosing(JwtAuthenticator(rules, key_set, clock=now)) as authenticator:
        caller = await authenticator.caller_of(tokens["AccessToken"])
        assert caller.tenant_id == client_id
        assert caller.customer_id == caller.name
        with pytest.raises(TokenRefused, match="no access token"):
            await authenticator.caller_of(tokens["IdToken"])
