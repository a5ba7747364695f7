"""The last look sees what clients would see: a real server, real tokens' way, a whole turn."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qs

import boto3
import pytest

from infrastructure.delivery import smoke
from infrastructure.delivery.smoke import SmokeFailed
from prosa.adapters.in_memory.authenticator import InMemoryAuthenticator, OpenDoor
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.client import ClientError
from prosa.domain.caller import Caller
from prosa.domain.identifiers import TenantId
from tests.entrypoints.http.serving import InMemoryParts, app_of, parts_with, served_on_loopback

TOKEN = "of-the-program"  # noqa: S105 - known to this server alone
CALLER = Caller(tenant_id=TenantId(smoke.PROGRAM), name=smoke.PROGRAM)


@pytest.fixture
def parts() -> InMemoryParts:
    model = ScriptedLanguageModel(default="Olá! Tudo certo.")
    return replace(parts_with(model), authenticator=InMemoryAuthenticator({TOKEN: CALLER}))


@pytest.fixture
async def url(parts: InMemoryParts) -> AsyncIterator[str]:
    async with served_on_loopback(app_of(parts)) as server:
        yield str(server.base_url).rstrip("/")


async def test_an_api_that_works_passes_by_a_whole_turn(url: str, parts: InMemoryParts) -> None:
    await asyncio.to_thread(smoke.look, url, TOKEN)
    ((tenant, turn),) = parts.storage.all_turns()
    assert (tenant, turn.reply is None) == (smoke.PROGRAM, False)


async def test_without_a_token_no_turn_is_taken(url: str, parts: InMemoryParts) -> None:
    await asyncio.to_thread(smoke.look, url, None)
    assert not list(parts.storage.all_turns())


async def test_a_token_that_is_refused_is_told_of(url: str) -> None:
    with pytest.raises(ClientError):
        await asyncio.to_thread(smoke.look, url, "somebody's")


async def test_an_open_door_is_told_of(parts: InMemoryParts) -> None:
    async with served_on_loopback(app_of(replace(parts, authenticator=OpenDoor()))) as server:
        url = str(server.base_url).rstrip("/")
        with pytest.raises(SmokeFailed, match="GET /v1/conversations was answered with 200"):
            await asyncio.to_thread(smoke.look, url, TOKEN)


class Issuer(HTTPServer):
    """Gives a token for the client's secret, as the user pool's sign-in address does."""

    secret = ""
    asked: dict[str, list[str]]


class _Handler(BaseHTTPRequestHandler):
    server: Issuer

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.asked = {"path": [self.path], **parse_qs(form)}
        self.send_response(200 if self.headers["authorization"].startswith("Basic ") else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"access_token": TOKEN, "token_type": "Bearer"}).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def issuing() -> Iterator[Issuer]:
    with Issuer(("127.0.0.1", 0), _Handler) as issuer:
        Thread(target=issuer.serve_forever, daemon=True).start()
        try:
            yield issuer
        finally:
            issuer.shutdown()


@pytest.mark.usefixtures("aws")
def test_the_program_signs_in_for_its_own_tenant() -> None:
    cognito = boto3.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="prosa-test")["UserPool"]["Id"]
    for name in ("pages", smoke.PROGRAM):
        cognito.create_user_pool_client(UserPoolId=pool, ClientName=name, GenerateSecret=True)
    with issuing() as issuer:
        url = f"http://127.0.0.1:{issuer.server_port}"
        assert smoke.sign_in(cognito, pool, url) == TOKEN
    assert issuer.asked["path"] == ["/oauth2/token"]
    assert issuer.asked["scope"] == [f"tenants/{smoke.PROGRAM}"]


@pytest.mark.usefixtures("aws")
def test_an_environment_without_the_program_gives_no_token() -> None:
    cognito = boto3.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="prosa-test")["UserPool"]["Id"]
    assert smoke.sign_in(cognito, pool, "http://127.0.0.1:1") is None
