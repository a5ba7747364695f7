"""Where nobody is authenticated, only requests that name this machine are answered."""

import httpx
import pytest

from tests.entrypoints.http.serving import app_of, parts_with, problem_in, served

BODY = {"text": "Onde está o meu pedido?"}


async def asked_as(host: str | None) -> httpx.Response:
    """Ask a server whose own name is Shop.local."""
    app = app_of(parts_with(), hosts=("Shop.local",))
    async with served(parts_with(), app) as client:
        request = client.build_request("POST", "/v1/messages", json=BODY)
        del request.headers["host"]
        if host is not None:
            request.headers["host"] = host
        return await client.send(request)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8000",
        "127.0.0.1",
        "127.0.0.1:8000",
        "127.8.9.10:1",
        "[::1]",
        "[::1]:8000",
        "shop.local:8000",
    ],
)
async def test_this_machine_is_answered_by_each_of_its_names(host: str) -> None:
    assert (await asked_as(host)).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "192.168.0.7:8000",
        "[::2]:8000",
        "[::1",
        "::1",
    ],
)
async def test_a_page_whose_name_leads_here_is_refused(host: str | None) -> None:
    response = await asked_as(host)
    assert response.status_code == 403
    problem = problem_in(response)
    assert problem["code"] == "forbidden"
    assert problem["detail"] == (
        "Without authentication (PROSA_AUTH=none) only this machine is answered: send the request "
        "to localhost or 127.0.0.1."
    )


async def test_who_names_this_machine_and_another_is_refused() -> None:
    app = app_of(parts_with(), hosts=())
    async with served(parts_with(), app) as client:
        sent = [("Host", "localhost"), ("Host", "evil.example")]
        response = await client.post("/v1/messages", json=BODY, headers=sent)
    assert response.status_code == 403


async def test_whether_it_lives_is_told_by_any_name() -> None:
    app = app_of(parts_with(), hosts=())
    async with served(parts_with(), app) as client:
        for address in ("/healthz", "/readyz"):
            assert (await client.get(address)).status_code == 200


async def test_where_no_names_are_given_any_is_answered() -> None:
    async with served(parts_with()) as client:
        response = await client.post("/v1/messages", json=BODY, headers={"Host": "prosa.example"})
    assert response.status_code == 200
