"""What a customer's message may hold, whichever way it comes in: the fields and their limits."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from prosa.domain.field_rules import (
    MAX_KEY_CHARACTERS,
    MAX_METADATA_ENTRIES,
    MAX_METADATA_KEY_CHARACTERS,
    MAX_METADATA_VALUE_CHARACTERS,
    MAX_NAME_CHARACTERS,
    is_readable,
)
from prosa.domain.message import MAX_MESSAGE_CHARACTERS

BLANK_TEXT = "blank_text"

NO_NUL = r"^[^\u0000]*$"
CONVERSATION_ID = "^conv_[0-9a-f]{32}$"
MESSAGE_ID = "^msg_[0-9a-f]{32}$"
KEY = rf"^[\x20-\x7e]{{1,{MAX_KEY_CHARACTERS}}}$"


def _not_blank(text: str) -> str:
    if not is_readable(text):
        raise PydanticCustomError(BLANK_TEXT, "blank")
    return text


CustomerText = Annotated[
    str,
    StringConstraints(max_length=MAX_MESSAGE_CHARACTERS, min_length=1, pattern=NO_NUL),
    AfterValidator(_not_blank),
    Field(
        description="What the customer wrote. Something in it must be visible.",
        examples=["Onde está o meu pedido 4711?"],
    ),
]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_NAME_CHARACTERS, pattern=NO_NUL)
]
CustomerId = Annotated[
    Name | None,
    Field(description="Your own reference to the customer.", examples=["customer-42"]),
]
Channel = Annotated[
    Name | None, Field(description="Where the customer writes from.", examples=["whatsapp"])
]
MetadataKey = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_METADATA_KEY_CHARACTERS, pattern=NO_NUL),
]
MetadataValue = Annotated[
    str, StringConstraints(max_length=MAX_METADATA_VALUE_CHARACTERS, pattern=NO_NUL)
]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(
        max_length=MAX_METADATA_ENTRIES,
        description="What you want to find again. No model is shown it.",
        examples=[{"order": "4711"}],
    ),
]


class Strict(BaseModel):
    """Nothing more than what is named may be there."""

    model_config = ConfigDict(extra="forbid", frozen=True)
