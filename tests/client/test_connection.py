"""The addresses that a client takes."""

from typing import Any

import pytest

from prosa.client import Client


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://prosa", "http://", "http://\0", "//x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        Client(url)


def test_an_address_with_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="token instead") as refused:
        Client("https://ana:1234@prosa.example.com")
    assert "1234" not in str(refused.value)


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"seconds": -1.0}, {"max_tries": 0}])
def test_no_time_or_no_try_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(limits))} is "):
        Client("http://127.0.0.1:8000", **limits)
