"""Calls functions whose newest version nobody else calls yet: migrations, and a first look."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

MIGRATE = "migrate"
HTTP = "http"

READY = "/readyz"

_END_OF_PRELUDE = b"\x00" * 8
"""What parts status and headers from the body, in answers that stream:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html"""


class CallFailed(Exception):
    """A function failed, or is not ready: the text says which, and what it told."""


def migrate(awslambda: "LambdaClient", function: str, version: str) -> Mapping[str, str | None]:
    """Bring the database to a version of Prosa; from which revision to which. Raises CallFailed."""
    answer = awslambda.invoke(FunctionName=function, Qualifier=version, Payload=b"{}")
    told = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        raise CallFailed(f"{function}, version {version}: {told.get('errorMessage', told)}")
    revisions: Mapping[str, str | None] = told
    return revisions


def look_at(awslambda: "LambdaClient", function: str, version: str) -> None:
    """Ask a version of the API whether it is ready, as the gateway would. Raises CallFailed."""
    answer = awslambda.invoke_with_response_stream(
        FunctionName=function, Qualifier=version, Payload=json.dumps(_request(READY)).encode()
    )
    whole = b""
    for event in answer["EventStream"]:
        whole += event.get("PayloadChunk", {}).get("Payload", b"")
        ended = event.get("InvokeComplete", {})
        if "ErrorCode" in ended:
            raise CallFailed(f"{function}, version {version}: {ended['ErrorCode']}")
    prelude, _, body = whole.partition(_END_OF_PRELUDE)
    status = _status(prelude)
    if status != 200:  # noqa: PLR2004 - HTTP's OK
        raise CallFailed(f"{function}, version {version}, answers {READY} with {status}: {body!r}")


def _status(prelude: bytes) -> int | None:
    try:
        told: dict[str, Any] = json.loads(prelude)
    except ValueError:
        return None
    return told.get("statusCode")


def _request(path: str) -> dict[str, object]:
    """Say `GET path` as a REST API does.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    """
    headers = {"Accept": "application/json", "Host": "delivery.internal"}
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": "GET",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.removeprefix("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "delivery",
            "httpMethod": "GET",
            "identity": {"sourceIp": "127.0.0.1"},
            "path": path,
            "protocol": "HTTP/1.1",
            "requestId": "delivery",
            "resourceId": "delivery",
            "resourcePath": "/{proxy+}",
            "stage": "live",
        },
        "body": None,
        "isBase64Encoded": False,
    }
