"""`prosa openapi`: prints the description of the HTTP API."""

import json

import typer

from prosa.bootstrap import bootstrap
from prosa.bootstrap.packages import required_packages


def openapi() -> None:
    """Print the OpenAPI document of the HTTP API, as JSON.

    Nothing is opened: no setting, database or model is needed.
    """
    with required_packages("prosa openapi describes the HTTP API", extra="http"):
        from prosa.entrypoints.http.app import create_app  # noqa: PLC0415 - of an extra

    typer.echo(json.dumps(create_app(bootstrap).openapi(), ensure_ascii=False, indent=2))
