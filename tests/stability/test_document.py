"""The OpenAPI document is true: schemathesis asks every route what it may ask, and what it may not.

Each answer has to be a documented one, of its documented shape, and none a failure of ours. Links
of the document lead from answer to question; boundaries of every limit are tried.
"""

import asyncio
import sys
import time
from pathlib import Path

import pytest

from tests.identity import TENANT
from tests.pacts.provider import running_provider

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 15
"""A route and phase; boundaries come on top of them."""
SECONDS = 180
"""Many times as long as it takes."""


@pytest.mark.no_cover  # tracing the server makes it three times as slow, and finds nothing
async def test_no_request_is_answered_otherwise_than_the_document_says(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with running_provider(sqlite_url) as provider:
        now = int(time.time())
        token = provider.issuer.token(role="service", tenant_id=TENANT, iat=now, exp=now + 3_600)
        options = ("--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-color")
        asking = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", CONFIGURATION, "run", f"{provider.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {token}", *options),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(SECONDS):
                said, _ = await asking.communicate()
        finally:
            if asking.returncode is None:
                asking.kill()
    assert asking.returncode == 0, said.decode()
    assert "Stateful" in said.decode()
