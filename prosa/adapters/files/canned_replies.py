"""The platform's own sentences, kept in a file for each locale."""

import tomllib
from dataclasses import fields
from pathlib import Path

from prosa.domain.errors import ConfigurationError
from prosa.domain.reply import CannedReplies

SHIPPED_CANNED_REPLIES = Path(__file__).with_name("canned_replies.toml")


def load_canned_replies(locale: str, path: Path = SHIPPED_CANNED_REPLIES) -> CannedReplies:
    """Read the sentences of a locale: `pt-BR` or `en`, or what a file of one's own has.

    Raises ConfigurationError, which lists the file's locales where it does not have this one.
    """
    sentences_by_locale = _read(path)
    sentences = sentences_by_locale.get(locale)
    if not isinstance(sentences, dict):
        known = ", ".join(sorted(sentences_by_locale))
        raise ConfigurationError(f"{path} has no locale {locale!r}; it has {known}")
    names = [field.name for field in fields(CannedReplies)]
    for name in names:
        if not isinstance(sentences.get(name), str) or not sentences[name].strip():
            raise ConfigurationError(f"{path} has no sentence {name!r} for locale {locale!r}")
    if unknown := sentences.keys() - set(names):
        raise ConfigurationError(f"{path} has unknown sentences: {', '.join(sorted(unknown))}")
    return CannedReplies(**sentences)


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read the canned replies in {path}: {error}") from error
