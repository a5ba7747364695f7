"""`prosa migrate`: brings the database to this version's tables."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from prosa.bootstrap.secrets import read_settings
from prosa.bootstrap.storage import Migration
from prosa.bootstrap.storage import migrate as run_migrations
from prosa.entrypoints.logs import set_up_logging
from prosa.settings import Settings


def migrate(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Bring the database to this version's tables.

    All in one transaction: where it fails, the database stays as it was.
    """
    settings = read_settings()
    set_up_logging(settings)
    migration = asyncio.run(run_migrations(settings))
    typer.echo(json.dumps(asdict(migration)) if as_json else _told(migration, settings))


def _told(migration: Migration, settings: Settings) -> str:
    place = settings.database_place
    place = place[0].upper() + place[1:]
    if migration.before == migration.after:
        return f"{place} is at revision {migration.after} already."
    if migration.before is None:
        return f"{place} had no tables and is at revision {migration.after} now."
    return f"{place} went from revision {migration.before} to {migration.after}."
