"""Tokens by which an identity of IAM logs in to Postgres on RDS: signed here, AWS is not asked.

One is good for a quarter of an hour, and only for logging in. Source:
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
"""

from urllib.parse import urlencode

from prosa.application.ports.secret_store import SecretUnavailable, SecretUnreadable

SECONDS = 900
"""For how long a token may be used; RDS allows no more."""

_SCHEME = "https://"


def rds_token(place: str) -> str:
    """Sign a token for USER@HOST:PORT. Raises SecretUnavailable, SecretUnreadable.

    Blocks where credentials have to be fetched.
    """
    from botocore.auth import SigV4QueryAuth  # noqa: PLC0415  an extra, and slow to load
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415  as above
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  as above
    from botocore.session import get_session  # noqa: PLC0415  as above

    user, address = _user_and_address(place)
    session = get_session()
    region = session.get_config_variable("region")
    try:
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise SecretUnavailable(f"no credentials to sign rds:{place}: {error}") from error
    if credentials is None or not region:
        raise SecretUnreadable(f"cannot sign rds:{place}: it needs credentials and a region")
    asked = urlencode({"Action": "connect", "DBUser": user})
    request = AWSRequest("GET", f"{_SCHEME}{address}/?{asked}")
    SigV4QueryAuth(credentials, "rds-db", region, expires=SECONDS).add_auth(request)
    return str(request.url).removeprefix(_SCHEME)


def _user_and_address(place: str) -> tuple[str, str]:
    user, _, address = place.rpartition("@")
    host, _, port = address.rpartition(":")
    if not user or not host or not port.isdecimal():
        raise SecretUnreadable(f"cannot read rds:{place}: write rds:USER@HOST:PORT")
    return user, address
