"""Packages are named by what is in them, and put where they are not yet."""

import base64
import hashlib
from pathlib import Path

import boto3
import pytest

from infrastructure.delivery import packages

BUCKET = "prosa-test-artifacts"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in packages.NAMES:
        (tmp_path / f"{name}.zip").write_bytes(name.encode())
    return tmp_path


def test_terraform_is_told_the_key_and_the_digest_of_each(folder: Path) -> None:
    told = packages.variables(packages.read(folder))["packages"]
    digest = hashlib.sha256(b"turns")
    assert set(told) == {"server", "turns", "relay"}
    assert told["turns"]["key"] == f"lambda/{digest.hexdigest()}/turns.zip"
    assert base64.b64decode(told["turns"]["sha256"]) == digest.digest()


@pytest.mark.usefixtures("aws")
def test_what_is_there_is_not_put_again(folder: Path) -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    built = packages.read(folder)
    assert packages.upload(s3, BUCKET, built) == [one.key for one in built]
    assert packages.upload(s3, BUCKET, built) == []
    stored = s3.get_object(Bucket=BUCKET, Key=built[0].key)["Body"].read()
    assert stored == built[0].content


def test_a_package_that_was_not_built_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        packages.read(tmp_path)
