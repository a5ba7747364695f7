"""Builds what AWS Lambda runs: zip files with Prosa and what it needs, the same bytes each time.

A package is for one of Lambda's architectures and one of its runtimes. See docs/aws.md and
decision 23.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("server", "http", "turns", "relay")
RUN = ROOT / "infrastructure" / "run.sh"
"""What the Web Adapter starts; it is in the package that holds the server."""

PLATFORMS = {"arm64": "aarch64-manylinux_2_34", "x86_64": "x86_64-manylinux_2_34"}
"""What uv calls Amazon Linux 2023, by Lambda's names of the architectures."""

OLDEST = (3, 12)
"""Lambda's runtimes of older Pythons have an older Linux, for which some packages are not made."""

MOST_BYTES = 50_000_000
"""What Lambda takes at most: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""

AWS_SERVICES = frozenset(
    {
        "bedrock-runtime",
        "events",
        "secretsmanager",
        "signin",
        "sqs",
        "ssm",
        "sso",
        "sso-oidc",
        "stepfunctions",
        "sts",
    }
)
"""What Prosa calls, and where credentials come from: botocore looks at each service that it has."""

_LEFT_OUT = frozenset(
    {".lock", "INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"}
)
"""How something came to be installed, on this machine."""

_FOR_COMPILERS = frozenset({".c", ".h", ".pxd", ".pyi", ".pyx"})
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o644 << 16
_EXECUTABLE = 0o755 << 16


class PackageError(Exception):
    """A package cannot be built, or cannot be deployed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a package is for: an interpreter of the version, and uv's name of the platform.

    Without a platform it is for this machine.
    """

    python: str = sys.executable
    platform: str | None = None

    def version(self) -> tuple[int, int]:
        """Ask the interpreter. Raises PackageError."""
        told = _run(self.python, "-c", "import sys; print(*sys.version_info[:2])").split()
        return int(told[0]), int(told[1])

    def options(self) -> tuple[str, ...]:
        """Say it as uv wants it."""
        if self.platform is None:
            return ()
        version = ".".join(map(str, self.version()))
        return ("--python-platform", self.platform, "--python-version", version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package, and how large it is, as it is and unzipped."""

    file: Path
    bytes: int
    unzipped_bytes: int
    sha256: str

    def show(self) -> str:
        """Say it in one line."""
        size, unzipped = self.bytes / 1e6, self.unzipped_bytes / 1e6
        return f"{self.file}: {size:.1f} MB ({unzipped:.0f} MB unzipped), sha256 {self.sha256}"


def build(name: str, folder: Path, target: Target, *options: str) -> Package:
    """Build a package into a folder; `options` are more for uv. Raises PackageError."""
    with tempfile.TemporaryDirectory() as scratch:
        content = Path(scratch) / "content"
        fill(name, content, target, *options)
        file = folder / f"{name}.zip"
        _zip(content, file)
        unzipped = sum(path.stat().st_size for path in _files(content))
    written = file.read_bytes()
    if len(written) > MOST_BYTES:
        raise PackageError(f"{file} has {len(written) / 1e6:.1f} MB; Lambda takes 50 at most")
    digest = hashlib.sha256(written).hexdigest()
    return Package(file=file, bytes=len(written), unzipped_bytes=unzipped, sha256=digest)


def fill(name: str, content: Path, target: Target, *options: str) -> None:
    """Put into a folder what a package holds. Raises PackageError."""
    _install(name, content, (*target.options(), *options))
    _leave_out_the_rest(content)
    _compile(content, target.python)
    if name == "server":
        shutil.copyfile(RUN, content / RUN.name)


def _install(name: str, content: Path, options: tuple[str, ...]) -> None:
    """Install what is locked, by its hashes, and Prosa itself."""
    uv = (sys.executable, "-m", "uv")
    install = (*uv, "pip", "install", "--quiet", "--target", str(content), "--no-deps", *options)
    lock = str(ROOT / "requirements" / f"lambda-{name}.txt")
    locked = ("--require-hashes", "--only-binary", ":all:", "-r", lock)
    _run(*install, *locked)
    wheels = content.with_name("wheels")
    build_wheel = (*uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--offline")
    _run(*build_wheel, "--python", sys.executable, "--out-dir", str(wheels), str(ROOT))
    _run(*install, "--no-index", *map(str, wheels.glob("*.whl")))


def _leave_out_the_rest(content: Path) -> None:
    """Delete what no function needs, and what tells of this machine."""
    shutil.rmtree(content / "bin", ignore_errors=True)  # their first lines name this interpreter
    services = content / "botocore" / "data"
    for folder in services.glob("*/"):
        if folder.name not in AWS_SERVICES:
            shutil.rmtree(folder)
    for file in [*_files(content)]:
        if file.name in _LEFT_OUT or file.suffix in _FOR_COMPILERS:
            file.unlink()


def _compile(content: Path, python: str) -> None:
    """Compile every module, so that no start has to: Lambda could not keep what it compiled.

    What is compiled names no time of a file, and no path on this machine.
    """
    options = ("--invalidation-mode", "unchecked-hash", "-s", str(content), "-q", "-f")
    _run(python, "-m", "compileall", *options, str(content), PYTHONHASHSEED="0")


def _zip(content: Path, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for path in _files(content):
            entry = zipfile.ZipInfo(path.relative_to(content).as_posix(), _LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever this is built
            entry.external_attr = _EXECUTABLE if path.name == RUN.name else _READABLE
            package.writestr(entry, path.read_bytes())


def _files(folder: Path) -> Iterator[Path]:
    return iter(sorted(path for path in folder.rglob("*") if path.is_file()))


def _run(*command: str, **variables: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own commands
            command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise PackageError(f"there is no {command[0]} here") from error
    if done.returncode:
        raise PackageError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """Build the packages that are asked for into dist/lambda; 1 if one could not be."""
    parser = argparse.ArgumentParser(description="Build what AWS Lambda runs.")
    parser.add_argument("packages", nargs="*", default=PACKAGES, help=f"of {', '.join(PACKAGES)}")
    parser.add_argument("--architecture", choices=PLATFORMS, default="arm64")
    parser.add_argument("--python", default=sys.executable, help="of the runtime's version")
    arguments = parser.parse_args()
    target = Target(python=arguments.python, platform=PLATFORMS[arguments.architecture])
    try:
        runtime = _runtime(target)
        folder = Path("dist", "lambda", f"{runtime}-{arguments.architecture}")
        for name in arguments.packages:
            print(build(name, folder, target).show())  # noqa: T201 - for whoever builds
    except PackageError as error:
        print(error, file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


def _runtime(target: Target) -> str:
    """Name Lambda's runtime of a Python. Raises PackageError."""
    version = target.version()
    if version < OLDEST:
        raise PackageError(
            f"{target.python} is Python {version[0]}.{version[1]}, and packages are for Lambda's "
            "runtimes from 3.12 on: make lambda-package LAMBDA_PYTHON=python3.13"
        )
    return f"python{version[0]}.{version[1]}"


if __name__ == "__main__":
    sys.exit(main())
