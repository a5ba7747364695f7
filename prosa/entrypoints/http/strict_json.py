"""Request bodies: read within a limit, and taken only where they are one plain JSON object.

`StrictJsonRoute` declares its body as FastAPI wants it, for the OpenAPI document, and reads and
answers it itself: FastAPI's own reading of a body that has passed already costs 0.1 ms a request.
"""

import codecs
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.message import Message
from typing import Any, cast

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from prosa.application.limit import Limit
from prosa.entrypoints.http.authentication import AuthenticatedRoute, authenticate
from prosa.entrypoints.http.parts import serving_of
from prosa.entrypoints.http.preferences import JSON
from prosa.entrypoints.http.problem_table import RequestRefusedError, refusal
from prosa.entrypoints.http.request_facts import facts_of
from prosa.entrypoints.http.unrouted import problem_of_http
from prosa.entrypoints.http.validation import problem_of_validation

MAX_BODY_BYTES = 256 * 1024
MAX_DEPTH = 32
"""How deep objects and lists may be nested; the outermost object counts."""

_PLAIN = frozenset({"", "identity"})

JsonObject = dict[str, object]
Endpoint = Callable[..., Awaitable[Response]]


class StrictJsonRoute(AuthenticatedRoute):
    """A route whose JSON body is read strictly; a route without a body is not concerned.

    Its endpoint takes `request`, the identifiers of its path as they came, and the model `body`.
    """

    def __init__(self, path: str, endpoint: Endpoint, **documented: Any) -> None:  # noqa: ANN401 - FastAPI's own
        super().__init__(path, endpoint, **documented)
        if self.body_field is not None:
            self._model = cast("type[BaseModel]", self.body_field.field_info.annotation)
            self.app = self._answer

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, call the endpoint with what it holds, and send what that answers."""
        request = Request(scope, receive, send)
        serving = serving_of(request)
        await authenticate(request, serving)
        body = self._validated(read_object(await _read_body(request, serving.body_seconds)))
        response = await self.endpoint(request=request, body=body, **request.path_params)
        await response(scope, receive, send)

    def _validated(self, content: JsonObject) -> BaseModel:
        """Make the model of what was read. Raises RequestRefusedError (`validation_error`)."""
        try:
            return self._model.model_validate(content)
        except ValidationError as error:
            findings = [{**found, "loc": ("body", *found["loc"])} for found in error.errors()]
            raise RequestRefusedError(problem_of_validation(findings, self)) from None


def read_object(raw: bytes) -> JsonObject:
    """Read a JSON object (RFC 8259, UTF-8, a byte order mark is passed over).

    Raises RequestRefusedError (`malformed_json`) for anything else, for NaN and Infinity, integers
    that Python does not read (4,300 digits), keys that repeat, and nesting past `MAX_DEPTH`.
    """
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
        content = _decode(text)
    except _NotPlainJsonError as error:
        raise _malformed(str(error)) from None
    except json.JSONDecodeError as error:
        raise _malformed(f"it is no JSON at character {error.pos + 1}") from None
    except UnicodeDecodeError as error:
        raise _malformed(f"it is no UTF-8 at byte {error.start + 1}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise _malformed("it has a number with too many digits") from None
    if not isinstance(content, dict):
        raise _malformed("it is no JSON object")
    # Counting is cheap, and nearly always enough.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _is_too_deep(content):
        raise _too_deep()
    return cast("JsonObject", content)


class _NotPlainJsonError(ValueError):
    """The text is JSON to Python, but not to us. Its message says why, without the text."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise _NotPlainJsonError("an object in it has a key twice")
    return content


def _refuse_constant(_name: str) -> object:
    raise _NotPlainJsonError("NaN and Infinity are no JSON")


_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant).decode


def _is_too_deep(content: object) -> bool:
    """Walk level by level, without recursion."""
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
    return any(isinstance(value, dict | list) for value in level)


def _inside(value: object) -> list[object]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []


def _require_json(content_type: str) -> None:
    """Raise RequestRefusedError (`unsupported_media_type`) unless it is JSON in UTF-8."""
    if content_type == JSON:
        return
    header = Message()
    header["content-type"] = content_type
    charset = str(header.get_param("charset", "utf-8")).lower()
    if not content_type or header.get_content_type() != JSON:
        raise RequestRefusedError(refusal("unsupported_media_type"))
    if charset not in {"utf-8", "utf8"}:
        raise RequestRefusedError(refusal("unsupported_media_type"))


def _require_plain(content_encoding: str) -> None:
    """Raise RequestRefusedError (`unsupported_media_type`) where it says that it is encoded."""
    if content_encoding.lower() not in _PLAIN:
        detail = "Send the body as it is, without the header `Content-Encoding`."
        raise RequestRefusedError(refusal("unsupported_media_type", detail))


async def _read_body(request: Request, seconds: float) -> bytes:
    """Read the body: no more of it than may be, and no longer. Raises RequestRefusedError."""
    facts = facts_of(request.scope)
    _require_json(facts.line(b"content-type"))
    _require_plain(facts.line(b"content-encoding"))
    announced = facts.line(b"content-length")
    # Ten digits say enough: Python reads no number of thousands of them.
    if announced.isdigit() and int(announced[:10]) > MAX_BODY_BYTES:
        raise RequestRefusedError(refusal("payload_too_large"))
    try:
        async with Limit(seconds, _too_slow):
            return await _received(request.receive)
    except HTTPException as error:  # an application around this one has a limit of its own
        raise RequestRefusedError(problem_of_http(request, error)) from None


def _too_slow() -> RequestRefusedError:
    # What is still to come must not be read as the next request.
    return RequestRefusedError(replace(refusal("request_timeout"), headers={"Connection": "close"}))


async def _received(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise RequestRefusedError(refusal("payload_too_large"))
        chunks.append(chunk)
    return b"".join(chunks)


def _malformed(reason: str) -> RequestRefusedError:
    return RequestRefusedError(refusal("malformed_json", f"The body cannot be read: {reason}."))


def _too_deep() -> RequestRefusedError:
    return _malformed(f"it is nested deeper than {MAX_DEPTH} levels")
