"""The commands that workflows call."""

import asyncio
import io
import json
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from infrastructure.delivery import packages
from infrastructure.delivery.__main__ import main
from prosa.adapters.in_memory.authenticator import InMemoryAuthenticator
from tests.delivery.account import APPLICATION, Account, Function
from tests.entrypoints.http.serving import app_of, parts_with, served_on_loopback

NAMES = {"http": "prosa-test-http", "migrate": "prosa-test-migrate"}
OUTPUTS = {
    "artifact_bucket": "prosa-test-artifacts",
    "codedeploy_application": APPLICATION,
    "functions": NAMES,
    "sign_in_url": "https://test.auth.eu-west-1.amazoncognito.com",
    "user_pool_id": "eu-west-1_abcdefghi",
}


def account_with_new_versions() -> Account:
    functions = {name: Function(versions=["1", "2"], live="1") for name in NAMES.values()}
    account = Account(functions=functions, seconds_to_move=0)
    account.answers["Invoke"] = {"Payload": io.BytesIO(b'{"before": "0001", "after": "0002"}')}
    ready = {"PayloadChunk": {"Payload": b'{"statusCode": 200}' + b"\0" * 8}}
    account.answers["InvokeWithResponseStream"] = [ready]
    return account


def written(folder: Path, **more: str) -> str:
    file = folder / "outputs.json"
    file.write_text(json.dumps({**OUTPUTS, **more}))
    return str(file)


async def test_a_database_is_migrated_and_all_aliases_are_moved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = account_with_new_versions()
    parts = replace(parts_with(), authenticator=InMemoryAuthenticator({}))
    async with served_on_loopback(app_of(parts)) as server:
        outputs = written(tmp_path, url=str(server.base_url).rstrip("/"))
        assert await asyncio.to_thread(main, ["migrate", outputs], account.client) == 0
        assert await asyncio.to_thread(main, ["move", outputs], account.client) == 0
        assert await asyncio.to_thread(main, ["smoke", outputs], account.client) == 0
    assert {function.live for function in account.functions.values()} == {"2"}
    said = capsys.readouterr().out
    assert "was 0001 and is 0002" in said
    assert "Moved: prosa-test-http from version 1 to 2; prosa-test-migrate" in said
    assert "No program 'smoke-test' here" in said


def test_an_api_that_is_away_takes_everything_back_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = account_with_new_versions()
    outputs = written(tmp_path, url="http://127.0.0.1:1")
    assert main(["move", outputs], account.client) == 1
    assert {function.live for function in account.functions.values()} == {"1"}
    assert "move: every alias is where it was before" in capsys.readouterr().err


@pytest.mark.usefixtures("aws")
def test_packages_are_uploaded_to_the_environments_bucket(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in packages.NAMES:
        (tmp_path / f"{name}.zip").write_bytes(b"zip")
    where = {"LocationConstraint": "eu-west-1"}
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="prosa-test-artifacts", CreateBucketConfiguration=where)  # type: ignore[arg-type] # the stubs know regions by literals
    assert main(["upload", str(tmp_path), written(tmp_path)]) == 0
    assert len(s3.list_objects_v2(Bucket="prosa-test-artifacts")["Contents"]) == 3
    assert "Uploaded: lambda/" in capsys.readouterr().out


def test_packages_prints_what_terraform_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in packages.NAMES:
        (tmp_path / f"{name}.zip").write_bytes(b"zip")
    assert main(["packages", str(tmp_path)]) == 0
    assert set(json.loads(capsys.readouterr().out)["packages"]) == set(packages.NAMES)


def test_a_command_that_fails_says_why_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["packages", str(tmp_path)]) == 1
    assert "packages: " in capsys.readouterr().err


def test_outputs_that_cannot_be_read_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = tmp_path / "outputs.json"
    outputs.write_text("Error: no outputs")
    with pytest.raises(SystemExit):
        main(["move", str(outputs)])
    assert "outputs" in capsys.readouterr().err
