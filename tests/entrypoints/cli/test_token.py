"""`prosa token`: a token to try things with, and a server that believes it."""

import re
from pathlib import Path

import httpx
import jwt
import pytest

from tests.entrypoints.cli.running import CommandLine, Main
from tests.entrypoints.cli.test_serve import serving, stop


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def variables_in(said: str) -> dict[str, str]:
    return dict(re.findall(r"(PROSA_\w+)=(\S+)", said))


def test_a_server_believes_it_with_the_settings_that_are_told(prosa: CommandLine) -> None:
    made = prosa.run("token", "--tenant", "loja", "--customer", "ana")
    assert made.returncode == 0
    identity = variables_in(made.stderr)
    assert set(identity) == {
        "PROSA_AUTH",
        "PROSA_JWT_ISSUER",
        "PROSA_JWT_CLIENT_IDS",
        "PROSA_JWKS_URL",
    }
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    with serving(prosa, **identity) as (server, client):
        assert client.get("/v1/conversations").status_code == 401
        answered = client.post("/v1/messages", json={"text": "Olá"}, headers=headers)
        conversations = client.get("/v1/conversations", headers=headers).json()["data"]
        assert answered.status_code == 200
        assert [found["customer_id"] for found in conversations] == ["ana"]
        service = prosa.run("token", "--tenant", "loja").stdout.strip()
        found = client.get("/v1/conversations", headers={"Authorization": f"Bearer {service}"})
        assert len(found.json()["data"]) == 1
        assert stop(server) == (0, "")


def test_with_authentication_any_address_is_served(prosa: CommandLine) -> None:
    identity = variables_in(prosa.run("token").stderr)
    with prosa.started("serve", "--host", "0.0.0.0", "--port", "0", **identity) as server:  # noqa: S104 - that is the point
        assert server.stdout is not None
        address = re.search(r"http://0\.0\.0\.0:(\d+)", server.stdout.readline())
        assert address is not None
        assert "authorization: Bearer TOKEN" in server.stdout.readline()
        refused = httpx.get(f"http://127.0.0.1:{address[1]}/v1/conversations")
        assert refused.status_code == 401


def test_its_key_is_for_nobody_elses_eyes(main: Main, tmp_path: Path) -> None:
    assert main("token", "--folder", "keys").code == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "keys"]
    assert (tmp_path / "keys" / "signing_key.pem").stat().st_mode & 0o077 == 0


def test_it_says_what_was_asked_for(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSA_JWT_ISSUER", "https://login.example.com")
    monkeypatch.setenv("PROSA_JWT_CLIENT_IDS", "web,app")
    monkeypatch.setenv("PROSA_JWT_TENANT_CLAIM", "custom:tenant")
    monkeypatch.setenv("PROSA_JWT_ROLE_CLAIM", "cognito:groups")
    monkeypatch.setenv("PROSA_JWT_CUSTOMER_CLAIM", "custom:customer")
    made = main("token", "--tenant", "loja", "--customer", "ana", "--seconds", "60")
    claims = claims_of(made.out.strip())
    issued_at = claims["iat"]
    assert isinstance(issued_at, int)
    assert claims == {
        "iss": "https://login.example.com",
        "client_id": "app",
        "token_use": "access",
        "sub": "ana",
        "iat": issued_at,
        "exp": issued_at + 60,
        "custom:tenant": "loja",
        "cognito:groups": "customer",
        "custom:customer": "ana",
    }


def test_without_a_customer_it_is_a_services(main: Main) -> None:
    claims = claims_of(main("token").out.strip())
    assert (claims["tenant_id"], claims["role"]) == ("default", "service")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--role", "customer"),
        ("--role", "service", "--customer", "ana"),
        ("--role", "admin"),
        ("--seconds", "0"),
        ("--tenant", ""),
        ("--tenant", "a\n"),
        ("--tenant", "x" * 129),
        ("--customer", ""),
        ("--customer", "x" * 129),
    ],
)
def test_what_makes_no_sense_is_refused(main: Main, tmp_path: Path, arguments: tuple[str]) -> None:
    assert main("token", *arguments).code == 2
    assert not list(tmp_path.iterdir())


def test_outside_development_it_makes_none(
    main: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROSA_ENVIRONMENT", "staging")
    monkeypatch.setenv("PROSA_MODELS", "local")
    ended = main("token")
    assert ended.code == 1
    assert "PROSA_ENVIRONMENT=staging" in ended.err
    assert not list(tmp_path.iterdir())


def test_the_doctor_looks_for_the_issuers_keys(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables_in(main("token").err).items():
        monkeypatch.setenv(name, value)
    file = Path(".prosa/jwks.json").resolve()
    assert f"has 1 key at file:{file}" in main("doctor").out
    file.write_text("no keys")
    assert (
        f"mend   identity   PROSA_JWKS_URL leads to file:{file}: what is there is no JSON Web Key "
        "Set that can be used (JSONDecodeError)"
    ) in main("doctor").out
    file.unlink()
    assert f"mend   identity   {file} cannot be read" in main("doctor").out
