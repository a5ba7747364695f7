"""What a request's headers ask for: its key, its form of answer, its deadline."""

import httpx
import pytest

from prosa.entrypoints.http.idempotency_key import read_idempotency_key
from prosa.entrypoints.http.preferences import Preferences, read_preferences
from prosa.entrypoints.http.problem_table import RequestRefusedError
from tests.entrypoints.http.serving import problem_in

EVENTS = "text/event-stream"


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("k", "k"),
        ('"k"', "k"),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ('"a \\"quoted\\" \\\\ key"', 'a "quoted" \\ key'),
        ('in the "middle"', 'in the "middle"'),
        ("x" * 255, "x" * 255),
        (f'"{"x" * 255}"', "x" * 255),
    ],
)
def test_a_key_is_read_bare_or_quoted(sent: str, key: str) -> None:
    assert read_idempotency_key([sent]) == key


@pytest.mark.parametrize(
    "sent",
    [[""], ['""'], ['"open'], ['"a"b"'], ['"a\\b"'], ["x" * 256], ["ção"], ["a\tb"], ["a", "b"]],
)
def test_what_is_no_key_is_refused(sent: list[str]) -> None:
    with pytest.raises(RequestRefusedError, match="invalid_idempotency_key"):
        read_idempotency_key(sent)


def test_keys_that_are_made_differ() -> None:
    assert read_idempotency_key([]) != read_idempotency_key([])


@pytest.mark.parametrize("address", ["/v1/messages", "/message", "/v1/conversations"])
async def test_a_request_with_a_bad_key_is_refused(client: httpx.AsyncClient, address: str) -> None:
    body = {} if address.endswith("conversations") else {"text": "a"}
    response = await client.post(address, json=body, headers={"Idempotency-Key": '"open'})
    assert response.status_code == 400
    assert problem_in(response)["code"] == "invalid_idempotency_key"


@pytest.mark.parametrize(
    ("accept", "stream"),
    [
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
        (EVENTS, True),
        ("Text/Event-Stream", True),
        (f"{EVENTS}, application/json", True),
        (f"application/json, {EVENTS};q=0.5", False),
        (f"application/json;q=0.5, {EVENTS}", True),
        (f"{EVENTS};q=0", False),
        (f"{EVENTS};q=1.2.3", False),
    ],
)
def test_a_stream_is_given_to_whoever_accepts_it_as_gladly_as_json(
    accept: str, *, stream: bool
) -> None:
    assert read_preferences(accept, []) == Preferences(stream=stream)


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async"], Preferences(respond_async=True)),
        (["wait=10"], Preferences(wait_seconds=10)),
        (["wait = 10"], Preferences(wait_seconds=10)),
        (['wait="10"; strict'], Preferences(wait_seconds=10)),
        (["respond-async, wait=10"], Preferences(respond_async=True, wait_seconds=10)),
        (["respond-async", "wait=10"], Preferences(respond_async=True, wait_seconds=10)),
        (["wait=5, wait=10"], Preferences(wait_seconds=5)),
        (["wait=0"], Preferences()),
        (["wait=-1"], Preferences()),
        (["wait=soon"], Preferences()),
        (["wait=1e9"], Preferences()),
        (["wait=" + "9" * 5_000], Preferences()),
        (["return=minimal"], Preferences()),
        ([""], Preferences()),
    ],
)
def test_preferences_are_read_and_unknown_ones_ignored(
    prefer: list[str], expected: Preferences
) -> None:
    assert read_preferences("*/*", prefer) == expected


def test_a_stream_goes_before_a_later_answer() -> None:
    assert read_preferences(EVENTS, ["respond-async"]) == Preferences(stream=True)
