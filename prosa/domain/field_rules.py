"""What the fields that callers fill may hold, whichever way they come in: limits and rules."""

import unicodedata
from collections.abc import Mapping

from prosa.domain.errors import InvalidField

MAX_NAME_CHARACTERS = 128
MAX_METADATA_ENTRIES = 16
MAX_METADATA_KEY_CHARACTERS = 64
MAX_METADATA_VALUE_CHARACTERS = 512
MAX_KEY_CHARACTERS = 255

KEY_FORM = f"must be 1 to {MAX_KEY_CHARACTERS} printable ASCII characters"
NO_NUL = "must not contain the character NUL"
NO_SURROGATES = "must be text without lone surrogates"
NOT_BLANK = "must have something in it that can be read"
NOT_EMPTY = "must not be empty"

EACH_KEY = "each key of metadata"
EACH_VALUE = "each value of metadata"

# Letters by their category, but nothing to see: Hangul fillers, the blank of Braille.
_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Me", "Mn", "Zl", "Zp", "Zs"})


def is_readable(text: str) -> bool:
    """Whether there is anything to see: white space and zero-width characters are nothing."""
    return any(map(_is_visible, text))


def is_idempotency_key(text: str) -> bool:
    """Whether it is 1 to 255 printable ASCII characters."""
    return 0 < len(text) <= MAX_KEY_CHARACTERS and text.isascii() and text.isprintable()


def require_request(
    *,
    tenant_id: object,
    caller: object,
    idempotency_key: object,
    customer_id: object,
    channel: object,
    metadata: object,
) -> None:
    """Raise InvalidField unless all that requests have in common can be taken."""
    _require_name("tenant_id", tenant_id)
    require_storable("caller", caller)
    if idempotency_key is not None:
        _require_idempotency_key(idempotency_key)
    if customer_id is not None:
        _require_name("customer_id", customer_id)
    if channel is not None:
        _require_name("channel", channel)
    if metadata != {}:
        _require_metadata(metadata)


def require_text(text: object) -> None:
    """Raise InvalidField unless it is a text that a customer may send, of whatever length."""
    if not is_readable(_storable("text", text)):
        raise InvalidField("text", NOT_BLANK)


def require_storable(field: str, text: object) -> None:
    """Raise InvalidField unless it is a text that every database takes."""
    _storable(field, text)


def _require_name(field: str, name: object) -> None:
    text = _storable(field, name)
    if not text:
        raise InvalidField(field, NOT_EMPTY)
    _require_short(field, text, MAX_NAME_CHARACTERS)


def _require_idempotency_key(key: object) -> None:
    if not is_idempotency_key(_storable("idempotency_key", key)):
        raise InvalidField("idempotency_key", KEY_FORM)


def _require_metadata(metadata: object) -> None:
    if not isinstance(metadata, Mapping):
        raise InvalidField("metadata", "must be a mapping")
    if len(metadata) > MAX_METADATA_ENTRIES:
        raise InvalidField("metadata", f"may have at most {MAX_METADATA_ENTRIES} entries")
    for key, value in metadata.items():
        if key == "":
            raise InvalidField(EACH_KEY, NOT_EMPTY)
        _require_short(EACH_KEY, _storable(EACH_KEY, key), MAX_METADATA_KEY_CHARACTERS)
        _require_short(EACH_VALUE, _storable(EACH_VALUE, value), MAX_METADATA_VALUE_CHARACTERS)


def _require_short(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise InvalidField(field, f"may have at most {limit} characters")


def _storable(field: str, text: object) -> str:
    if not isinstance(text, str):
        raise InvalidField(field, "must be a string")
    if "\0" in text:
        raise InvalidField(field, NO_NUL)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidField(field, NO_SURROGATES) from None
    return text


def _is_visible(character: str) -> bool:
    return (
        unicodedata.category(character) not in _INVISIBLE_CATEGORIES and character not in _INVISIBLE
    )
