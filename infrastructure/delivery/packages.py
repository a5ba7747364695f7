"""Names packages of functions by their digests, as Terraform wants them, and uploads them.

A package's key begins with its digest, so that a commit's package is the same in every environment
and is never replaced by another: see docs/decisions/0030.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NAMES = ("server", "turns", "relay")
"""The packages that Terraform's functions are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package, as it was built."""

    name: str
    content: bytes

    @property
    def key(self) -> str:
        """Where it is in a bucket."""
        return f"lambda/{hashlib.sha256(self.content).hexdigest()}/{self.name}.zip"

    @property
    def sha256(self) -> str:
        """Its digest in Base64, as AWS writes it."""
        return base64.b64encode(hashlib.sha256(self.content).digest()).decode("ascii")


def read(folder: Path) -> list[Package]:
    """Read what `make lambda-package` wrote. Raises FileNotFoundError."""
    return [Package(name=name, content=(folder / f"{name}.zip").read_bytes()) for name in NAMES]


def variables(packages: list[Package]) -> dict[str, dict[str, dict[str, str]]]:
    """Say it as Terraform's variable `packages`."""
    return {"packages": {one.name: {"key": one.key, "sha256": one.sha256} for one in packages}}


def upload(s3: "S3Client", bucket: str, packages: list[Package]) -> list[str]:
    """Put what is not there yet; the keys of what was put. S3 compares the digest itself."""
    found = [package for package in packages if not _is_there(s3, bucket, package.key)]
    for package in found:
        s3.put_object(
            Bucket=bucket, Key=package.key, Body=package.content, ChecksumSHA256=package.sha256
        )
    return [package.key for package in found]


def _is_there(s3: "S3Client", bucket: str, key: str) -> bool:
    # Listing says it without an error for what is missing, and without reading the package.
    return "Contents" in s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
