"""API Gateway in front of a function: requests as its events, and what it makes of the answers.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

HOST = "abcdefghij.execute-api.eu-west-1.amazonaws.com"
FORWARDED = {
    "host": HOST,
    "x-amzn-trace-id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
    "x-forwarded-for": "205.255.255.176",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
}

JSON = {"content-type": "application/json"}

Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client sends."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client gets."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def view(self) -> Any:  # noqa: ANN401 - whatever its JSON says
        return json.loads(self.body)


def post(path: str, key: str, **body: object) -> Request:
    headers = {**JSON, "idempotency-key": key}
    return Request(method="POST", path=path, headers=headers, body=json.dumps(body))


def get(path: str, query: str = "") -> Request:
    return Request(method="GET", path=path, query=query)


AsEvent = Callable[[Request], Event]


def http_api_event(request: Request) -> Event:
    """Write a request as an HTTP API does: payload format 2.0."""
    parameters = {name: ",".join(found) for name, found in parse_qs(request.query).items()}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": {**FORWARDED, **request.headers},
        **({"queryStringParameters": parameters} if parameters else {}),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": HOST,
            "domainPrefix": "abcdefghij",
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "205.255.255.176",
                "userAgent": "agent",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        **({} if request.body is None else {"body": request.body}),
        "isBase64Encoded": False,
    }


def rest_api_event(request: Request) -> Event:
    """Write a request as a REST API does: payload format 1.0, its body in Base64 as binary ones."""
    headers = {**FORWARDED, **request.headers}
    several = parse_qs(request.query)
    body = request.body
    return {
        "resource": "/{proxy+}",
        "path": request.path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: found[-1] for name, found in several.items()} or None,
        "multiValueQueryStringParameters": several or None,
        "pathParameters": {"proxy": request.path.removeprefix("/")},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": HOST,
            "httpMethod": request.method,
            "identity": {"sourceIp": "205.255.255.176", "userAgent": "agent"},
            "path": f"/prod{request.path}",
            "protocol": "HTTP/1.1",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "resourcePath": "/{proxy+}",
            "stage": "prod",
        },
        "body": None if body is None else base64.b64encode(body.encode()).decode(),
        "isBase64Encoded": body is not None,
    }


def answer_from(returned: Mapping[str, Any]) -> Answer:
    """Make of what a function returned what its client gets."""
    body = returned["body"]
    several = {
        name: ", ".join(found) for name, found in returned.get("multiValueHeaders", {}).items()
    }
    return Answer(
        status=returned["statusCode"],
        headers={**returned["headers"], **several},
        body=base64.b64decode(body) if returned["isBase64Encoded"] else body.encode(),
    )
