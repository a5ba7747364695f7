"""Which bodies are taken: media type, size, strict JSON, and what each field may hold."""

import gzip
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from prosa.entrypoints.http.strict_json import MAX_BODY_BYTES, MAX_DEPTH
from tests.entrypoints.http.serving import (
    JSON,
    app_of,
    parts_with,
    problem_in,
    served_on_loopback,
    turn_in,
)

ADDRESS = "/v1/messages"


async def code_of(client: httpx.AsyncClient, body: bytes, status: int) -> str:
    response = await client.post(ADDRESS, content=body, headers=JSON)
    assert response.status_code == status, response.text
    return str(problem_in(response)["code"])


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON; Charset="UTF-8"',
        "application/json;charset=utf8",
    ],
)
async def test_json_in_utf_8_is_taken(client: httpx.AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    response = await client.post(ADDRESS, content='{"text": "Olá"}'.encode(), headers=headers)
    assert turn_in(response).message.text == "Olá"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/problem+json",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "/",
    ],
)
async def test_another_media_type_or_charset_is_refused(
    client: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = await client.post(ADDRESS, content=b'{"text": "a"}', headers=headers)
    assert response.status_code == 415
    assert problem_in(response)["code"] == "unsupported_media_type"


def body_of_size(size: int) -> bytes:
    frame = b'{"text": "a"}'
    return frame + b" " * (size - len(frame))


async def test_a_body_may_have_256_kib_and_no_more(client: httpx.AsyncClient) -> None:
    fits = await client.post(ADDRESS, content=body_of_size(MAX_BODY_BYTES), headers=JSON)
    assert fits.status_code == 200
    assert await code_of(client, body_of_size(MAX_BODY_BYTES + 1), 413) == "payload_too_large"


async def test_a_body_that_does_not_say_its_size_is_measured_while_it_is_read() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 65_536
            yield b" " * 65_536

    async with served_on_loopback(app_of(parts_with())) as client:
        response = await client.post(ADDRESS, content=endless(), headers=JSON)
    assert response.status_code == 413
    assert problem_in(response)["code"] == "payload_too_large"


async def test_a_body_that_says_it_is_too_large_is_not_read(client: httpx.AsyncClient) -> None:
    headers = {**JSON, "Content-Length": "9" * 5_000}
    response = await client.post(ADDRESS, content=b"", headers=headers)
    assert response.status_code == 413


def nested(depth: int) -> bytes:
    return b'{"text": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


MALFORMED = {
    "nothing": b"",
    "a blank": b" ",
    "a brace": b"{",
    "an open object": b'{"text": "a"',
    "two objects": b'{"text": "a"} {}',
    "single quotes": b"{'text': 'a'}",
    "a comma too many": b'{"text": "a",}',
    "a bare line break": b'{"text": "a\nb"}',
    "not a number": b'{"text": NaN}',
    "infinity": b'{"text": "a", "metadata": {"a": Infinity}}',
    "less than nothing": b'{"text": -Infinity}',
    "a key twice": b'{"text": "a", "text": "a"}',
    "a key twice, deeper and escaped": b'{"metadata": {"k": "1", "\\u006b": "2"}}',
    "no UTF-8": b'{"text": "\xff"}',
    "a surrogate in bytes": b'{"text": "\xed\xa0\x80"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "UTF-32": '{"text": "a"}'.encode("utf-32-le"),
    "too many digits": b'{"text": ' + b"1" * 4_301 + b"}",
    "a string": b'"text"',
    "a list": b"[]",
    "null": b"null",
    "open lists": b"[" * 100_000,
    "open objects": b'{"a":' * 40_000,
    "deep nesting": nested(MAX_DEPTH + 1),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_plain_json_object_is_malformed(
    client: httpx.AsyncClient, body: bytes
) -> None:
    assert await code_of(client, body, 400) == "malformed_json"


async def test_nesting_is_no_fault_by_itself(client: httpx.AsyncClient) -> None:
    assert await code_of(client, nested(MAX_DEPTH), 422) == "validation_error"
    wide = b'{"text": "a", "metadata": {"k": "' + b"[{" * 200 + b'"}}'
    response = await client.post(ADDRESS, content=wide, headers=JSON)
    assert response.status_code == 200


async def test_a_byte_order_mark_is_passed_over(client: httpx.AsyncClient) -> None:
    body = b'\xef\xbb\xbf{"text": "a"}'
    response = await client.post(ADDRESS, content=body, headers=JSON)
    assert turn_in(response).message.text == "a"


async def test_a_malformed_body_is_told_by_its_place_not_by_its_text(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(ADDRESS, content=b'{"text": secret}', headers=JSON)
    assert problem_in(response)["detail"] == (
        "The body cannot be read: it is no JSON at character 10."
    )


LONG = "x" * 8_001
MANY = {f"k{number}": "v" for number in range(17)}


@pytest.mark.parametrize(
    ("body", "location", "code"),
    [
        ({}, "body.text", "missing"),
        ({"text": None}, "body.text", "wrong_type"),
        ({"text": 1}, "body.text", "wrong_type"),
        ({"text": ""}, "body.text", "too_short"),
        ({"text": LONG}, "body.text", "too_long"),
        ({"text": "a\x00b"}, "body.text", "nul_character"),
        ({"text": "a\ud800"}, "body.text", "invalid_text"),
        ({"text": " \n\t"}, "body.text", "blank_text"),
        ({"text": "\u200b\u200d\ufeff\u2060"}, "body.text", "blank_text"),
        ({"text": "\u3164\u2800\u115f"}, "body.text", "blank_text"),
        ({"text": "\u00ad\u202e\U000e0041\ufe0f"}, "body.text", "blank_text"),
        ({"text": "a", "secret": 1}, "body", "unknown_field"),
        ({"text": "a", "tenant_id": "other"}, "body", "unknown_field"),
        ({"text": "a", "conversation_id": "4711"}, "body.conversation_id", "wrong_form"),
        ({"text": "a", "conversation_id": 1}, "body.conversation_id", "wrong_type"),
        ({"text": "a", "customer_id": ""}, "body.customer_id", "too_short"),
        ({"text": "a", "customer_id": "x" * 129}, "body.customer_id", "too_long"),
        ({"text": "a", "customer_id": "\x00"}, "body.customer_id", "nul_character"),
        ({"text": "a", "channel": "x" * 129}, "body.channel", "too_long"),
        ({"text": "a", "channel": ["web"]}, "body.channel", "wrong_type"),
        ({"text": "a", "metadata": None}, "body.metadata", "wrong_type"),
        ({"text": "a", "metadata": []}, "body.metadata", "wrong_type"),
        ({"text": "a", "metadata": MANY}, "body.metadata", "too_long"),
        ({"text": "a", "metadata": {"k": 1}}, "body.metadata", "wrong_type"),
        ({"text": "a", "metadata": {"k": "x" * 513}}, "body.metadata", "too_long"),
        ({"text": "a", "metadata": {"x" * 65: "v"}}, "body.metadata", "too_long"),
        ({"text": "a", "metadata": {"": "v"}}, "body.metadata", "too_short"),
        ({"text": "a", "metadata": {"\ud800": "v"}}, "body.metadata", "invalid_text"),
        ({"text": "a", "metadata": {"k\x00": "v"}}, "body.metadata", "nul_character"),
        ({"text": "a", "metadata": {"k": "v\x00"}}, "body.metadata", "nul_character"),
    ],
    ids=lambda value: ascii(value)[:32],
)
async def test_a_field_that_may_not_be_so_is_named(
    client: httpx.AsyncClient, body: dict[str, object], location: str, code: str
) -> None:
    content = json.dumps(body).encode()  # a client's own encoder may refuse surrogates
    response = await client.post(ADDRESS, content=content, headers=JSON)
    assert response.status_code == 422
    problem = problem_in(response)
    assert problem["code"] == "validation_error"
    errors = problem["errors"]
    assert isinstance(errors, list)
    assert [(error["location"], error["code"]) for error in errors] == [(location, code)]
    assert location in errors[0]["detail"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"text": ""}, "body.text must not be empty"),
        ({"text": "a", "metadata": {"k": 1}}, "each value of body.metadata must be a string"),
        (
            {"text": "a", "metadata": {"k": "x" * 513}},
            "each value of body.metadata may have at most 512 characters",
        ),
        (
            {"text": "a", "metadata": {"x" * 65: "v"}},
            "each key of body.metadata may have at most 64 characters",
        ),
        (
            {"text": "a", "texto": "b"},
            "body has a field that is not known here; body may have text, metadata",
        ),
        (
            {"text": "a", "customer_id": "c"},
            "body.customer_id is not known here; body may have text, metadata",
        ),
    ],
    ids=lambda value: ascii(value)[:32],
)
async def test_what_is_said_of_a_field_is_true_of_it(
    client: httpx.AsyncClient, body: dict[str, object], detail: str
) -> None:
    address = f"/v1/conversations/conv_{'0' * 32}/messages"
    response = await client.post(address, json=body)
    errors = problem_in(response)["errors"]
    assert isinstance(errors, list)
    assert [error["detail"] for error in errors] == [detail]


async def test_a_query_is_told_what_it_may_have(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/conversations", params={"page": "2"})
    assert problem_in(response)["errors"] == [
        {
            "location": "query",
            "code": "unknown_field",
            "detail": "query has a field that is not known here; "
            "query may have limit, after, order, status, owner, customer_id",
        }
    ]


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
async def test_a_body_that_is_encoded_is_refused_by_the_header_that_says_so(
    client: httpx.AsyncClient, encoding: str
) -> None:
    headers = {**JSON, "Content-Encoding": encoding}
    body = gzip.compress(b'{"text": "a"}')
    response = await client.post(ADDRESS, content=body, headers=headers)
    assert response.status_code == 415
    problem = problem_in(response)
    assert problem["code"] == "unsupported_media_type"
    assert problem["detail"] == "Send the body as it is, without the header `Content-Encoding`."


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
async def test_a_body_that_is_encoded_as_it_is_is_taken(
    client: httpx.AsyncClient, encoding: str
) -> None:
    headers = {**JSON, "Content-Encoding": encoding}
    response = await client.post(ADDRESS, content=b'{"text": "a"}', headers=headers)
    assert response.status_code == 200


async def test_limits_are_inclusive(client: httpx.AsyncClient) -> None:
    body = {
        "text": "x" * 8_000,
        "customer_id": "c" * 128,
        "channel": "w" * 128,
        "metadata": {f"{number:064}": "v" * 512 for number in range(16)},
    }
    response = await client.post(ADDRESS, json=body)
    assert response.status_code == 200
    assert turn_in(response).message.metadata == body["metadata"]


async def test_a_visible_sign_among_invisible_ones_is_a_text(client: httpx.AsyncClient) -> None:
    for text in ("\u200b.\u200b", "👍🏽", "1", "ação"):
        response = await client.post(ADDRESS, json={"text": text})
        assert turn_in(response).message.text == text


async def test_all_mistakes_are_told_at_once(client: httpx.AsyncClient) -> None:
    response = await client.post(ADDRESS, json={"text": 1, "channel": 2, "metadata": 3})
    errors = problem_in(response)["errors"]
    assert isinstance(errors, list)
    assert {error["location"] for error in errors} == {
        "body.text",
        "body.channel",
        "body.metadata",
    }


async def test_a_start_of_a_conversation_is_read_as_strictly(client: httpx.AsyncClient) -> None:
    for content, status in ((b"", 400), (b'{"text": "a"}', 422), (b"{}", 201)):
        response = await client.post("/v1/conversations", content=content, headers=JSON)
        assert response.status_code == status
