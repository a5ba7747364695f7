"""The workflow is well formed, bounded everywhere, and names errors and functions that exist."""

import importlib
import json
import pkgutil
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from prosa.application import ports
from prosa.domain.errors import PortFailure, ProsaError
from prosa.domain.turn import TIME_TO_COMMIT
from prosa.entrypoints.step_functions import take_turn, tasks
from prosa.entrypoints.step_functions.failures import kind_of
from prosa.settings import Settings

FILE = Path(__file__).parents[2] / "infrastructure" / "workflows" / "take_turn.asl.json"
WORKFLOW: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
STATES: dict[str, dict[str, Any]] = WORKFLOW["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}

AWS_ERRORS = {
    # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
    "States.ALL",
    "States.Timeout",
    "Sandbox.Timedout",
    "Lambda.Unknown",
    # https://docs.aws.amazon.com/step-functions/latest/dg/bp-lambda-serviceexception.html
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
}

NOT_OF_TASKS = {
    "KeysUnavailable": "who asks is checked at the door",
    "TurnNotStarted": "the door starts the machine",
    "MessageQueueError": "queues are read and written by other functions",
    "ReplyOutletError": "as MessageQueueError",
}
"""Transient errors that no task meets; should one, States.ALL catches it."""


def leaves(error: type[ProsaError] = ProsaError) -> Iterator[type[ProsaError]]:
    for module in pkgutil.iter_modules(ports.__path__, f"{ports.__name__}."):
        importlib.import_module(module.name)
    children = [one for one in error.__subclasses__() if one.__module__.startswith("prosa.")]
    if not children:
        yield error
    for child in children:
        yield from leaves(child)


def transient() -> set[str]:
    return {one.__name__ for one in leaves() if issubclass(one, PortFailure) and one.transient}


def named(kind: str, states: Mapping[str, dict[str, Any]] = TASKS) -> set[str]:
    """Every error that a Retry, or a Catch, of these states names."""
    return {
        error
        for state in states.values()
        for entry in state.get(kind, ())
        for error in entry["ErrorEquals"]
    }


def test_moto_can_parse_it() -> None:
    AmazonStateLanguageParser.parse(json.dumps(WORKFLOW))


def test_the_asl_validator_accepts_it() -> None:
    validator = shutil.which("asl-validator", path=FILE.parent / "node_modules" / ".bin")
    if validator is None:
        pytest.skip("asl-validator is a package of npm's: make install installs it where npm is")
    subprocess.run([validator, "--json-path", FILE], check=True, timeout=60)


def test_every_state_leads_on_to_one_that_exists_and_is_reached() -> None:
    ends = {"Succeed", "Fail"}
    reached = {WORKFLOW["StartAt"]}
    for state in STATES.values():
        assert ("Next" in state) == (state["Type"] not in ends)
        reached |= {state[key] for key in ("Next",) if key in state}
        reached |= {entry["Next"] for entry in state.get("Catch", ())}
    assert reached == set(STATES)


def test_every_task_is_a_function_of_the_module_or_relays() -> None:
    functions = {state["Parameters"]["FunctionName"] for state in TASKS.values()}
    names = {name.removeprefix("${").removesuffix("_function}") for name in functions}
    assert names == {*take_turn.STEPS, take_turn.PUBLISH}
    assert all(callable(getattr(tasks, name)) for name in take_turn.STEPS)


def test_every_task_is_bounded_and_the_whole_is() -> None:
    limits = [state["TimeoutSeconds"] for state in TASKS.values()]
    assert WORKFLOW["TimeoutSeconds"] > sum(limits)


def test_generating_may_take_as_long_as_a_turn_has_for_it() -> None:
    default = Settings.model_fields["deadline_seconds"].default
    for name in ("Classify", "Generate"):
        assert TASKS[name]["TimeoutSeconds"] >= default - TIME_TO_COMMIT.total_seconds()


def test_every_retry_leaves_its_pauses_to_chance_and_bounds_them() -> None:
    for state in TASKS.values():
        for retry in state["Retry"]:
            assert retry["JitterStrategy"] == "FULL"
            assert retry["MaxDelaySeconds"] <= 10
            assert retry["MaxAttempts"] <= 6


def test_no_result_of_a_task_enters_the_state() -> None:
    for state in TASKS.values():
        assert state["ResultPath"] is None
        for caught in state["Catch"]:
            assert caught.get("ResultPath", "$.failure") in {None, "$.failure"}


def test_every_error_that_is_named_exists_and_is_no_family_of_errors() -> None:
    names = named("Retry") | named("Catch")
    assert names - AWS_ERRORS <= {one.__name__ for one in leaves()}
    assert names & AWS_ERRORS == AWS_ERRORS


def test_only_transient_errors_are_retried_and_of_models_none() -> None:
    ours = named("Retry") - AWS_ERRORS
    assert ours <= transient()
    assert not [name for name in ours if name.startswith(("Model", "Circuit"))]


def test_each_transient_error_is_retried_or_caught_on_purpose() -> None:
    on_purpose = named("Retry") | named("Catch") | set(NOT_OF_TASKS)
    assert transient() <= on_purpose


def test_whatever_else_happens_before_the_record_fails_the_turn() -> None:
    for name in ("Classify", "Generate", "Record"):
        last = TASKS[name]["Catch"][-1]
        assert (last["ErrorEquals"], last["Next"]) == (["States.ALL"], "Fail")


def test_a_lost_attempt_is_caught_first() -> None:
    for name in ("Classify", "Generate", "Record", "Fail"):
        assert TASKS[name]["Catch"][0] == {"ErrorEquals": ["StaleAttempt"], "Next": "Superseded"}


def test_what_fails_a_turn_is_known_by_its_class() -> None:
    for name in (named("Retry") | named("Catch")) - AWS_ERRORS - {"StaleAttempt", "EventBusError"}:
        assert kind_of(name) is not Exception, name
