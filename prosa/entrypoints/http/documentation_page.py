"""The page at `/docs`: the OpenAPI document, to read and to try."""

import base64
import hashlib
import re

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html

ADDRESS = "/docs"
OPENAPI_ADDRESS = "/openapi.json"

# Swagger UI comes from the network that FastAPI names; it is not shipped.
_SOURCE = "https://cdn.jsdelivr.net"
_FALLBACK = (
    f"<p>Swagger UI is loaded from {_SOURCE}. Where that cannot be reached, read "
    f'<a href="{OPENAPI_ADDRESS}">the OpenAPI document</a> itself.</p>'
).encode()
_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def serve(app: FastAPI) -> None:
    """Add the page to the application."""
    swagger = get_swagger_ui_html(
        openapi_url=OPENAPI_ADDRESS, title="Prosa", swagger_favicon_url="data:,"
    )
    page = Response(_with_fallback(bytes(swagger.body)), media_type="text/html")
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body))

    def show(_request: Request) -> Response:
        return page

    app.add_route(ADDRESS, show, include_in_schema=False)


def _with_fallback(html: bytes) -> bytes:
    """Say something where the network of Swagger UI is out of reach; Swagger UI replaces it."""
    empty = b'<div id="swagger-ui">'
    if empty not in html:
        raise ValueError("the page of FastAPI's has no place for Swagger UI")
    return html.replace(empty, empty + _FALLBACK)


def _policy(html: bytes) -> str:
    """Let in the scripts and styles of this page, and no other script."""
    digests = [hashlib.sha256(script).digest() for script in _SCRIPT.findall(html)]
    inline = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; connect-src 'self'; img-src 'self' data: {_SOURCE}; "
        f"script-src {inline} {_SOURCE}; style-src 'unsafe-inline' {_SOURCE}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
