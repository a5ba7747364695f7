"""The plugin that pytest finds where Prosa is installed: fixtures for tests of adapters and apps.

Everything of Prosa is imported by the fixtures, so that whoever uses none of them pays nothing.
A package with a plugin has its assertions rewritten by pytest: a clause that fails shows values.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from prosa.application.ports.event_bus import EventBus
    from prosa.application.ports.language_model import LanguageModel
    from prosa.bootstrap import App
    from prosa.domain.identifiers import TenantId
    from prosa.testing import RecordingEventBus, ScriptedLanguageModel, VirtualClock


class OpenProsa(Protocol):
    """What the fixture `open_prosa` gives."""

    def __call__(
        self,
        *,
        model: "LanguageModel | None" = None,
        event_bus: "EventBus | None" = None,
        **settings: Any,  # noqa: ANN401 - what Settings takes
    ) -> "AbstractAsyncContextManager[App]":
        """Open an application with a model, a bus, and settings that differ from the usual."""


@pytest.fixture
def prosa_clock() -> "VirtualClock":
    """Give a clock that stands still until the test moves it."""
    from prosa.testing import VirtualClock  # noqa: PLC0415 - see above

    return VirtualClock()


@pytest.fixture
def prosa_tenant() -> "TenantId":
    """Make up a tenant that no other test has."""
    from prosa.testing import a_tenant  # noqa: PLC0415 - see above

    return a_tenant()


@pytest.fixture
def prosa_model() -> "ScriptedLanguageModel":
    """Give the model of the test's applications; add to its `script` what it is to say."""
    from prosa.testing import ScriptedLanguageModel  # noqa: PLC0415 - see above

    return ScriptedLanguageModel()


@pytest.fixture
def prosa_event_bus() -> "RecordingEventBus":
    """Give the bus of the test's applications; it remembers what it took in `published`."""
    from prosa.testing import RecordingEventBus  # noqa: PLC0415 - see above

    return RecordingEventBus()


@pytest.fixture
def open_prosa(
    tmp_path: Path, prosa_model: "ScriptedLanguageModel", prosa_event_bus: "RecordingEventBus"
) -> OpenProsa:
    """Open whole applications on an SQLite file of the test's own, as in `bootstrap`.

    They have the test's model and bus unless others are given, and need the extras `sqlite` and
    `resilience`.
    """

    def opened(
        *,
        model: "LanguageModel | None" = None,
        event_bus: "EventBus | None" = None,
        **settings: Any,  # noqa: ANN401 - what Settings takes
    ) -> "AbstractAsyncContextManager[App]":
        import prosa  # noqa: PLC0415 - see above

        usual = {"models": "scripted", "database_url": f"sqlite+aiosqlite:///{tmp_path}/prosa.db"}
        return prosa.bootstrap(
            prosa.Settings(**{**usual, **settings}),
            model=model or prosa_model,
            event_bus=event_bus or prosa_event_bus,
        )

    return opened
