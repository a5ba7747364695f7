"""The platform's own sentences, in each locale."""

from pathlib import Path

import pytest

from prosa.adapters.files.canned_replies import load_canned_replies
from prosa.domain.errors import ConfigurationError


@pytest.mark.parametrize(("locale", "word"), [("pt-BR", "Desculpe"), ("en", "Sorry")])
def test_a_locale_has_its_sentences(locale: str, word: str) -> None:
    sentences = load_canned_replies(locale)
    assert sentences.refused.startswith(word)
    assert sentences.unavailable.startswith(word)


@pytest.mark.parametrize("locale", ["fr", "pt", "PT-BR", ""])
def test_an_unknown_locale_is_refused_with_those_that_are_known(locale: str) -> None:
    with pytest.raises(ConfigurationError, match=r"has en, pt-BR$") as refused:
        load_canned_replies(locale)
    assert repr(locale) in str(refused.value)


def test_sentences_may_come_from_a_file_of_one_s_own(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[es]\nrefused = "No."\nunavailable = "Lo siento."', encoding="utf-8")
    assert load_canned_replies("es", file).unavailable == "Lo siento."


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[en]", "has no sentence 'refused' for locale 'en'"),
        (b"[en]\nrefused = 1", "has no sentence 'refused'"),
        (b"[en]\nrefused = ' '", "has no sentence 'refused'"),
        (b"[en]\nrefused = 'No.'", "has no sentence 'unavailable'"),
        (b"[en]\nrefused = 'No.'\nunavailable = 'Sorry.'\nbusy = 'x'", "unknown sentences: busy"),
        (b"en = 1", "has no locale 'en'"),
        (b"[en", "cannot read"),
        (b"\xff", "cannot read"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=complaint) as refused:
        load_canned_replies("en", file)
    assert str(file) in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_canned_replies("en", tmp_path / "nowhere.toml")
