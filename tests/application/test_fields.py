"""What fields may hold: told by one error that names the field, before anything is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from prosa.application.accept_turn import CustomerMessage
from prosa.application.start_conversation import NewConversation
from prosa.domain.errors import InvalidField, ProsaError
from prosa.domain.identifiers import ConversationId, TenantId
from prosa.entrypoints.http import schemas
from tests.application.service import TENANT, Service

SURROGATE = "a\ud800"
MANY = {f"k{number}": "v" for number in range(17)}

REFUSED = [
    ("tenant_id", "", "tenant_id must not be empty"),
    ("tenant_id", None, "tenant_id must be a string"),
    ("caller", "a\0b", "caller must not contain the character NUL"),
    ("idempotency_key", "", "idempotency_key must be 1 to 255 printable ASCII characters"),
    ("idempotency_key", "x" * 256, "idempotency_key must be 1 to 255 printable ASCII characters"),
    ("idempotency_key", "é", "idempotency_key must be 1 to 255 printable ASCII characters"),
    ("idempotency_key", 7, "idempotency_key must be a string"),
    ("customer_id", "", "customer_id must not be empty"),
    ("customer_id", "a\0b", "customer_id must not contain the character NUL"),
    ("customer_id", "x" * 129, "customer_id may have at most 128 characters"),
    ("channel", SURROGATE, "channel must be text without lone surrogates"),
    ("metadata", None, "metadata must be a mapping"),
    ("metadata", MANY, "metadata may have at most 16 entries"),
    ("each key of metadata", {1: "a"}, "each key of metadata must be a string"),
    ("each key of metadata", {"": "a"}, "each key of metadata must not be empty"),
    (
        "each key of metadata",
        {"x" * 65: "a"},
        "each key of metadata may have at most 64 characters",
    ),
    ("each value of metadata", {"a": 1}, "each value of metadata must be a string"),
    (
        "each value of metadata",
        {"a": "x" * 513},
        "each value of metadata may have at most 512 characters",
    ),
]
REFUSED_MESSAGES = [
    ("text", "", "text must have something in it that can be read"),
    ("text", " \u200b", "text must have something in it that can be read"),
    ("text", "a\0b", "text must not contain the character NUL"),
    ("text", 5, "text must be a string"),
    ("text", SURROGATE, "text must be text without lone surrogates"),
    ("conversation_id", "a\0b", "conversation_id must not contain the character NUL"),
]


@pytest.mark.parametrize(
    ("field", "value", "said"), [*REFUSED, *REFUSED_MESSAGES], ids=lambda value: ascii(value)[:24]
)
async def test_a_message_that_nobody_may_send_is_refused_by_the_name_of_its_field(
    field: str, value: object, said: str
) -> None:
    service = Service()
    fields = {"text": "Oi", "tenant_id": TENANT, field.rpartition(" ")[2]: value}
    with pytest.raises(InvalidField) as refused:
        await service.take_turn(CustomerMessage(**fields))  # type: ignore[arg-type] # on purpose
    assert (refused.value.field, str(refused.value)) == (field, said)
    assert service.state.turns == {}


@pytest.mark.parametrize(("field", "value", "said"), REFUSED, ids=lambda value: ascii(value)[:24])
async def test_a_conversation_is_not_started_with_what_no_message_may_hold(
    field: str, value: object, said: str
) -> None:
    service = Service()
    fields = {"tenant_id": TENANT, field.rpartition(" ")[2]: value}
    with pytest.raises(InvalidField, match=said):
        await service.start_conversation(NewConversation(**fields))  # type: ignore[arg-type] # as above
    assert service.state.headers == {}


async def test_a_conversation_whose_name_cannot_be_stored_is_not_looked_for() -> None:
    with pytest.raises(InvalidField, match="conversation_id must not contain the character NUL"):
        await Service().close_conversation(TENANT, ConversationId("a\0b"))


async def test_limits_are_inclusive() -> None:
    service = Service()
    message = CustomerMessage(
        text="x" * 8_000,
        tenant_id=TenantId("t" * 128),
        customer_id="c" * 128,
        channel="w" * 128,
        metadata={f"{number:064}": "v" * 512 for number in range(15)} | {"empty": ""},
        idempotency_key="~" * 255,
    )
    turn = (await service.take_turn(message)).turn
    assert turn.message.metadata == message.metadata


ODD = st.sampled_from(["", " ", "a", "\0", "\ud800", "é", "\u200b", "x" * 64, "x" * 65, "x" * 129])
ANYTHING = st.one_of(ODD, st.text(st.characters(), max_size=3), st.none(), st.just(1))
METADATA: st.SearchStrategy[object] = (
    st.dictionaries(ODD, ANYTHING, max_size=2) | st.just(MANY) | st.just([])
)


@given(
    st.fixed_dictionaries(
        {"text": ANYTHING}, optional={"customer_id": ANYTHING, "channel": ANYTHING}
    ),
    st.none() | METADATA,
)
def test_python_takes_what_http_takes(body: dict[str, object], metadata: object) -> None:
    if metadata is not None:
        body["metadata"] = metadata
    assert _is_message(body) == _is_body(body)


def _is_message(body: dict[str, object]) -> bool:
    try:
        CustomerMessage(**body)  # type: ignore[arg-type] # on purpose
    except ProsaError:
        return False
    return True


def _is_body(body: dict[str, object]) -> bool:
    try:
        schemas.FirstMessage.model_validate(body)
    except ValidationError:
        return False
    return True
