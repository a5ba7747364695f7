"""The kit as others see it: its names, its fixtures, and what it costs those who use none of it."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

import prosa
from prosa import CustomerMessage, TenantId
from prosa.testing import (
    CONTRACTS,
    RecordingEventBus,
    ScriptedLanguageModel,
    VirtualClock,
    VirtualTimeLoop,
)
from prosa.testing.plugin import OpenProsa

FOLDER = Path(prosa.__file__).parent / "testing"


def printed_by(program: str) -> dict[str, list[str]]:
    """Run a program that prints JSON in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        check=True,
        cwd=FOLDER.parents[1],
        encoding="utf-8",
        timeout=60,
    )
    said: dict[str, list[str]] = json.loads(ended.stdout)
    return said


def test_every_contract_is_public() -> None:
    files = {f"prosa.testing.{file.stem}" for file in FOLDER.glob("*_contract.py")}
    assert set(CONTRACTS) == files
    assert all(names[0].endswith("Contract") for names in CONTRACTS.values())


def test_every_name_can_be_asked_for_and_is_known_to_type_checkers() -> None:
    said = printed_by("""
import ast, json, inspect
import prosa.testing
block = next(one for one in ast.parse(inspect.getsource(prosa.testing)).body
             if isinstance(one, ast.If) and ast.unparse(one.test) == "TYPE_CHECKING")
known = [alias.name for one in block.body for alias in one.names]
missing = [name for name in prosa.testing.__all__ if not hasattr(prosa.testing, name)]
print(json.dumps({"missing": missing, "known": known, "all": prosa.testing.__all__}))
""")
    assert said["missing"] == []
    assert sorted(said["known"]) == sorted(said["all"])


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "NoSuchContract"
    with pytest.raises(AttributeError, match=name):
        getattr(prosa.testing, name)


def test_the_plugin_loads_nothing_of_prosa_until_a_fixture_is_asked_for() -> None:
    said = printed_by("""
import json, sys
import prosa.testing.plugin
ours = sorted(name for name in sys.modules if name.partition(".")[0] == "prosa")
print(json.dumps({"ours": ours, "asyncio": [name for name in sys.modules if name == "sqlalchemy"]}))
""")
    assert said == {"ours": ["prosa", "prosa.testing", "prosa.testing.plugin"], "asyncio": []}


async def test_an_application_has_the_tests_model_and_bus(
    open_prosa: OpenProsa, prosa_model: ScriptedLanguageModel, prosa_event_bus: RecordingEventBus
) -> None:
    prosa_model.script.append("Saiu hoje.")
    async with open_prosa() as app:
        outcome = await app.take_turn(CustomerMessage(text="Cadê meu pedido?"))
        await app.relay_outbox.relay_batch()
    assert outcome.turn.reply is not None
    assert outcome.turn.reply.text == "Saiu hoje."
    assert [event.type for event in prosa_event_bus.published] == ["conversation.started.v1"]


async def test_applications_of_a_test_share_their_database_and_may_differ(
    open_prosa: OpenProsa,
) -> None:
    async with open_prosa() as app:
        first = await app.take_turn(CustomerMessage(text="Oi!"))
    mine = ScriptedLanguageModel(default="Olá de novo.")
    async with open_prosa(model=mine, locale="en") as app:
        known = first.turn.conversation_id
        again = await app.take_turn(CustomerMessage(text="Oi?", conversation_id=known))
        assert app.settings.locale == "en"
    assert again.turn.reply is not None
    assert (again.turn.reply.text, again.turn.reply.sequence) == ("Olá de novo.", 4)


def test_a_clock_and_a_tenant_are_the_tests_own(
    prosa_clock: VirtualClock, prosa_tenant: TenantId
) -> None:
    before = prosa_clock()
    prosa_clock.advance(90)
    assert (prosa_clock() - before).total_seconds() == 90
    assert prosa_tenant.startswith("tenant-")


def test_in_virtual_time_hours_pass_at_once_and_what_hangs_fails() -> None:
    async def wait_long() -> float:
        await asyncio.sleep(36_000)
        return asyncio.get_running_loop().time()

    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(wait_long()) == 36_000
        with pytest.raises(AssertionError, match="never comes"):
            runner.run(hang())
