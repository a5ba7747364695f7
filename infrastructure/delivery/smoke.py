"""Looks whether an API works, as its clients see it: health, the locked door, and a whole turn."""

from typing import TYPE_CHECKING

import httpx2

from prosa.client import Client

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

PROGRAM = "smoke-test"
"""The program of the environment's `programs` as which the turn is taken; its tenant, too."""

_SECONDS = 30.0


class SmokeFailed(Exception):
    """The API does not do what it should: the text says what."""


def look(url: str, token: str | None) -> None:
    """Look at the API; without a token at health and the locked door. Raises SmokeFailed."""
    with httpx2.Client(timeout=_SECONDS) as http:
        for path, expected in (("/healthz", 200), ("/readyz", 200), ("/v1/conversations", 401)):
            status = http.get(f"{url}{path}").status_code
            if status != expected:
                raise SmokeFailed(f"GET {path} was answered with {status}, not {expected}")
    if token is not None:
        take_a_turn(url, token)


def take_a_turn(url: str, token: str) -> None:
    """Have a message answered, and read it again. Raises SmokeFailed, ClientError."""
    with Client(url, token=token) as prosa:
        turn = prosa.send_message("Olá! Isto é um teste.", customer_id=PROGRAM)
        if turn.reply is None or not turn.reply.text:
            raise SmokeFailed(f"turn {turn.id} has no reply: {turn.status}")
        stored = prosa.read_turn(turn.id)
        prosa.close_conversation(turn.conversation_id)
    if stored.reply is None or stored.reply.text != turn.reply.text:
        raise SmokeFailed(f"turn {turn.id} was stored with another reply than was sent")


def sign_in(cognito: "CognitoIdentityProviderClient", pool_id: str, sign_in_url: str) -> str | None:
    """Get a token of the program's; None where the environment has no such program.

    Raises httpx2.HTTPError.
    """
    pages = cognito.get_paginator("list_user_pool_clients").paginate(UserPoolId=pool_id)
    clients = [one for page in pages for one in page["UserPoolClients"]]
    found = [one["ClientId"] for one in clients if one["ClientName"] == PROGRAM]
    if not found:
        return None
    client = cognito.describe_user_pool_client(UserPoolId=pool_id, ClientId=found[0])
    secret = client["UserPoolClient"]["ClientSecret"]
    answer = httpx2.post(
        f"{sign_in_url}/oauth2/token",
        auth=(found[0], secret),
        data={"grant_type": "client_credentials", "scope": f"tenants/{PROGRAM}"},
        timeout=_SECONDS,
    )
    token: str = answer.raise_for_status().json()["access_token"]
    return token
