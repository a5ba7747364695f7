"""Brings the database to this version: a pipeline calls it before anything new is called."""

# ruff: noqa: PLC0415 - what a function needs is loaded while the collector rests

import asyncio
from dataclasses import asdict

from prosa.entrypoints.aws_lambda.runtime import Handler, opened_when_asked_for, read_settings

Answer = dict[str, str | None]


def _open() -> Handler:
    from prosa.bootstrap.storage import migrate as run_migrations

    settings = read_settings()

    def migrate(_event: object, _context: object) -> Answer:
        # A loop of its own, since nothing is kept for another event.
        return asdict(asyncio.run(run_migrations(settings)))

    return migrate


__getattr__ = opened_when_asked_for(_open)
