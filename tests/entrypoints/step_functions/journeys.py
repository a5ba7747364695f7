"""Turns on their way through the machine."""

from collections.abc import Iterable

from prosa.adapters.step_functions.turn_runner import StepFunctionsTurnRunner
from prosa.application.run_elsewhere import RunElsewhere
from prosa.domain.turn import Attempt, Turn
from tests.application.service import TENANT, Service, a_message
from tests.entrypoints.step_functions.machine import Execution, Machine


async def accepted(
    service: Service, text: str = "Cadê meu pedido?", wait_seconds: float | None = None
) -> Attempt:
    """Claim a turn at the door."""
    taken = await service.accept(a_message(text, wait_seconds=wait_seconds))
    assert taken.attempt is not None
    return taken.attempt


async def start(service: Service, machine: Machine, *attempts: Attempt) -> None:
    """Have accepted attempts run by the machine, as an installation does."""
    runner = StepFunctionsTurnRunner(machine.arn)
    run_elsewhere = RunElsewhere(
        runner=runner, attempts=service.attempts, take_turn=service.take_turn
    )
    for attempt in attempts:
        await run_elsewhere(attempt)
    runner.close()


async def taken(
    service: Service, machine: Machine, attempt: Attempt | None = None
) -> tuple[Turn, Execution]:
    """Have an attempt run to its end; give its turn, and how its execution went."""
    attempt = attempt or await accepted(service)
    await start(service, machine, attempt)
    execution = execution_of(machine, attempt)
    return await service.reader.get_turn(TENANT, attempt.turn_id), execution


def execution_of(machine: Machine, attempt: Attempt) -> Execution:
    """Wait for the end of an attempt's execution."""
    return machine.execution(f"{attempt.turn_id}-{attempt.number}")


def tasks_in(execution: Execution) -> list[str]:
    """Name the states that an execution went through, without the one that it ended in."""
    return execution.states[:-1]


def each_once(names: Iterable[str]) -> list[str]:
    """Name what follows itself once."""
    once: list[str] = []
    for name in names:
        if once[-1:] != [name]:
            once.append(name)
    return once
