"""`prosa token`: makes a token to try things with while developing."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from prosa.bootstrap.identity import token_rules
from prosa.bootstrap.moments import now
from prosa.bootstrap.packages import required_packages
from prosa.bootstrap.secrets import read_settings
from prosa.domain.errors import ConfigurationError, Forbidden
from prosa.domain.identifiers import DEFAULT_TENANT

ISSUER = "http://localhost/prosa-development"
CLIENT_ID = "prosa-development"
SECONDS = 3_600


class Role(StrEnum):
    """What the token's bearer is."""

    CUSTOMER = "customer"
    SERVICE = "service"


def token(
    *,
    tenant: Annotated[str, typer.Option(help="The tenant to act for.")] = DEFAULT_TENANT,
    role: Annotated[
        Role | None,
        typer.Option(
            help="A customer, or a program that acts for any of them: "
            "customer where --customer is given, else service."
        ),
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="Which customer: the tenant's own reference.")
    ] = None,
    seconds: Annotated[int, typer.Option(help="How long it holds.", min=1)] = SECONDS,
    folder: Annotated[
        Path, typer.Option(help="Where the key pair is; made there where it is missing.")
    ] = Path(".prosa"),
) -> None:
    """Print a token for development, signed with a key pair of your own.

    Issuer, client and the names of claims are those of the settings. What a server needs to believe
    the token is said on standard error.
    """
    settings = read_settings()
    if settings.environment != "development":
        raise ConfigurationError(
            f"tokens come from your issuer: with PROSA_ENVIRONMENT={settings.environment} "
            "`prosa token` makes none"
        )
    role = role or (Role.SERVICE if customer is None else Role.CUSTOMER)
    if (role is Role.CUSTOMER) != (customer is not None):
        raise typer.BadParameter("a customer's token needs --customer, a service's takes none")
    with required_packages("prosa token makes JSON Web Tokens", extra="jwt"):
        from prosa.adapters.jwt.development_keys import (  # noqa: PLC0415 - of an extra
            DevelopmentKeys,
        )

    issued_at = int(now().timestamp())
    claims = {
        "iss": settings.jwt_issuer or ISSUER,
        "client_id": min(settings.jwt_client_ids, default=CLIENT_ID),
        "token_use": "access",
        "sub": customer or "prosa-token",
        "iat": issued_at,
        "exp": issued_at + seconds,
        settings.jwt_tenant_claim: tenant,
        settings.jwt_role_claim: role.value,
    }
    if customer is not None:
        claims[settings.jwt_customer_claim] = customer
    try:
        token_rules(settings).caller_of(claims)
    except Forbidden as error:
        raise typer.BadParameter(
            f"no server would take it: {error}; look at --tenant and --customer"
        ) from error
    keys = DevelopmentKeys(folder)
    typer.echo(keys.sign(claims))
    needed = (
        "PROSA_AUTH=jwt",
        f"PROSA_JWT_ISSUER={claims['iss']}",
        f"PROSA_JWT_CLIENT_IDS={claims['client_id']}",
        f"PROSA_JWKS_URL=file:{keys.key_set_file.resolve()}",
    )
    typer.echo(f"For a server with {' '.join(map(shlex.quote, needed))}", err=True)
