"""Two servers and their Postgres are killed again and again while clients ask: nothing is lost."""

import secrets
from pathlib import Path

from tests.faults import chaos

SECONDS = 10


async def test_while_servers_and_their_database_are_killed_every_promise_is_kept(
    tmp_path: Path,
) -> None:
    done = await chaos.run(SECONDS, servers=2, seed=secrets.randbelow(1_000_000), folder=tmp_path)
    print(done)  # noqa: T201 - pytest shows it where the test fails, or with -s
    assert done.violations == [], str(done)
    assert done.server_kills + done.database_kills > 0
    assert done.ledger.replies
