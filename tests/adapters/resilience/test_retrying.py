"""One model with retry and breaker: when it is asked again, and what its breaker counts."""

import asyncio
import math
from contextlib import suppress

import pytest

from prosa.adapters.resilience import error_table
from prosa.adapters.resilience.circuit_breaker import BreakerState
from prosa.adapters.resilience.error_table import Outcome, treatment_of
from prosa.adapters.resilience.language_model import (
    LONGEST_JITTER_SECONDS,
    CircuitBrokenLanguageModel,
)
from prosa.application.ports import language_model as port
from prosa.application.ports.language_model import (
    CallBudget,
    CircuitOpen,
    ContentFiltered,
    ContextTooLong,
    LanguageModelError,
    ModelMisconfigured,
    ModelQuotaExhausted,
    ModelRateLimited,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelTimedOut,
    ModelUnavailable,
)
from prosa.domain.content import text_of
from prosa.testing.virtual_time import clock, timer
from tests.adapters.resilience.models import (
    DOWN,
    FAILURES,
    HANG,
    REST,
    Listener,
    Scripted,
    always,
    asked,
    chain,
    says,
)

AGAIN = [DOWN, ModelReplyMalformed("it is empty"), ModelRateLimited("too many", 1.0)]
NOT_AGAIN = [
    ModelTimedOut("it took too long"),
    ModelRateLimited("too many"),
    ModelQuotaExhausted("it has no credit"),
    ModelMisconfigured("wrong key"),
    ContextTooLong("too long"),
    ContentFiltered("filtered"),
    ModelRejectedRequest("refused"),
    LanguageModelError("something new"),
]
NEUTRAL = [ContextTooLong("too long"), ContentFiltered("no"), ModelRejectedRequest("refused")]
FAILING = [
    DOWN,
    ModelReplyMalformed("it is empty"),
    ModelTimedOut("it took too long"),
    ModelRateLimited("too many", 3_600.0),
    ModelQuotaExhausted("it has no credit"),
    LanguageModelError("something new"),
]


def named(error: LanguageModelError) -> str:
    return f"{type(error).__name__} {getattr(error, 'retry_after', '')}"


def test_every_error_of_the_port_has_its_row() -> None:
    errors = {
        found
        for found in vars(port).values()
        if isinstance(found, type) and issubclass(found, LanguageModelError)
    }
    assert set(error_table.TREATMENTS) == errors


def test_an_error_of_somebody_elses_is_treated_as_its_base_class() -> None:
    class Strange(ModelMisconfigured):
        pass

    assert treatment_of(Strange("x")).outcome is Outcome.HOPELESS


@pytest.mark.parametrize("error", AGAIN, ids=named)
async def test_what_may_pass_is_asked_once_more(error: LanguageModelError) -> None:
    model = Scripted("a", error, "sim")
    assert text_of((await chain(model).model.generate(asked())).parts) == "sim"
    assert model.calls == 2


@pytest.mark.parametrize("error", AGAIN, ids=named)
async def test_the_same_model_is_never_asked_three_times(error: LanguageModelError) -> None:
    model = Scripted("a", *always(error))
    with pytest.raises(type(error)):
        await chain(model).model.generate(asked())
    assert model.calls == 2


@pytest.mark.parametrize("error", NOT_AGAIN, ids=named)
async def test_what_does_not_pass_is_not_asked_again(error: LanguageModelError) -> None:
    model = Scripted("a", error)
    with pytest.raises(LanguageModelError):
        await chain(model).model.generate(asked())
    assert model.calls == 1


async def test_a_retry_waits_for_a_random_while() -> None:
    waits = set()
    for _ in range(8):
        model = Scripted("a", DOWN)
        await chain(model).model.generate(asked())
        first, second = model.asked_at
        waits.add(second - first)
    assert all(0 <= wait <= LONGEST_JITTER_SECONDS for wait in waits)
    assert len(waits) > 1


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [(0.0, 2), (1.0, 2), (9.0, 2), (11.0, 1), (3_600.0, 1), (-1.0, 1), (math.nan, 1), (1e9, 1)],
)
async def test_retry_after_is_waited_for_once_and_up_to_half_of_the_time(
    seconds: float, calls: int
) -> None:
    model = Scripted("a", *always(ModelRateLimited("too many", seconds)))
    with pytest.raises(ModelRateLimited):
        await chain(model).model.generate(asked(seconds=20))
    assert model.calls == calls
    assert timer() == (seconds if calls == 2 else 0)


@pytest.mark.parametrize(("late", "calls"), [(16.0, 2), (17.2, 1)])
async def test_no_retry_starts_with_less_than_an_eighth_of_the_time_left(
    late: float, calls: int
) -> None:
    model = Scripted("a", says("", after=late, cut_after=0))
    with suppress(ModelUnavailable):
        await chain(model).model.generate(asked(seconds=20))
    assert model.calls == calls


async def test_a_listener_that_heard_something_hears_no_second_answer() -> None:
    model, listener = Scripted("a", says("Bom dia, Ana", cut_after=7)), Listener()
    with pytest.raises(ModelUnavailable):
        await chain(model).model.generate(asked(), listener)
    assert listener.text == "Bom dia"
    assert model.calls == 1


async def test_before_the_first_text_a_stream_is_asked_again() -> None:
    model, listener = Scripted("a", says("Bom dia", cut_after=0)), Listener()
    await chain(model).model.generate(asked(), listener)
    assert listener.text == "sim"
    assert model.calls == 2


async def test_a_plain_answer_that_broke_off_is_asked_for_again() -> None:
    model = Scripted("a", says("Bom dia", cut_after=3))
    assert text_of((await chain(model).model.generate(asked())).parts) == "sim"


async def test_the_processs_retries_come_to_an_end() -> None:
    broken = chain(Scripted("a", default=DOWN))
    for _ in range(10):
        broken.retries.spend()
    with pytest.raises(ModelUnavailable):
        await broken.model.generate(asked())
    assert broken.calls == [1]


async def test_a_retry_that_fails_costs_one_retry() -> None:
    broken = chain(Scripted("a", default=DOWN))
    with pytest.raises(ModelUnavailable):
        await broken.model.generate(asked())
    assert sum(broken.retries.spend() for _ in range(20)) == 9


async def test_the_call_budget_allows_no_retry_beyond_it() -> None:
    model = Scripted("a", default=DOWN)
    broken = chain(model)
    with pytest.raises(ModelUnavailable, match="it is down"):
        await broken.model.generate(asked(budget=CallBudget(1)))
    assert broken.calls == [1]
    assert broken.view().failures == 1


async def test_a_spent_call_budget_is_no_failure_of_the_model() -> None:
    healthy = chain(Scripted("a"))
    alone = CircuitBrokenLanguageModel(healthy.models[0], healthy.breakers[0], clock=clock)
    for model in (healthy.model, alone):
        for _ in range(FAILURES + 1):
            with pytest.raises(ModelUnavailable, match="all the calls"):
                await model.generate(asked(budget=CallBudget(0)))
    assert healthy.calls == [0]
    assert healthy.view().failures == 0


async def test_a_passed_deadline_is_no_failure_of_the_model() -> None:
    healthy = chain(Scripted("a"))
    alone = CircuitBrokenLanguageModel(healthy.models[0], healthy.breakers[0], clock=clock)
    for model in (healthy.model, alone):
        for _ in range(FAILURES + 1):
            with pytest.raises(ModelTimedOut):
                await model.generate(asked(seconds=-1.0))
    assert healthy.view().failures == 0


@pytest.mark.parametrize("error", FAILING, ids=named)
async def test_failures_open_the_circuit(error: LanguageModelError) -> None:
    broken = chain(Scripted("a", default=error))
    for _ in range(FAILURES):
        with pytest.raises(LanguageModelError):
            await broken.model.generate(asked())
    assert broken.view().state is BreakerState.OPEN
    assert broken.calls == [FAILURES]
    with pytest.raises(CircuitOpen):
        await broken.model.generate(asked())
    assert broken.calls == [FAILURES]


@pytest.mark.parametrize("error", NEUTRAL, ids=named)
async def test_what_is_the_conversations_fault_counts_neither_way(
    error: LanguageModelError,
) -> None:
    model = Scripted("a", ModelTimedOut("it took too long"), default=error)
    broken = chain(model)
    with pytest.raises(LanguageModelError):
        await broken.model.generate(asked())
    for _ in range(FAILURES + 1):
        with pytest.raises(type(error)):
            await broken.model.generate(asked())
    assert broken.view().state is BreakerState.CLOSED
    assert broken.view().failures == 1


async def test_a_wrong_setting_opens_the_circuit_at_once_and_alarms_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = chain(Scripted("a", default=ModelMisconfigured("a does not accept the API key")))
    with pytest.raises(ModelMisconfigured):
        await broken.model.generate(asked())
    assert broken.view().state is BreakerState.OPEN
    await asyncio.sleep(REST)
    with pytest.raises(ModelMisconfigured):
        await broken.model.generate(asked())
    alarms = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [alarm.getMessage() for alarm in alarms] == ["mend this: a does not accept the API key"]


async def test_it_alarms_again_where_it_had_answered_in_between(
    caplog: pytest.LogCaptureFixture,
) -> None:
    poor = ModelQuotaExhausted("a has no credit")
    broken = chain(Scripted("a", poor, poor, "sim", poor))
    for _ in range(4):
        with suppress(ModelQuotaExhausted):
            await broken.model.generate(asked())
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


async def test_being_cancelled_stays_what_it_is_and_counts_neither_way() -> None:
    broken = chain(Scripted("a", ModelTimedOut("it took too long"), default=HANG))
    with pytest.raises(LanguageModelError):
        await broken.model.generate(asked())
    for _ in range(FAILURES + 1):
        call = asyncio.create_task(broken.model.generate(asked()))
        await asyncio.sleep(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert broken.view().failures == 1
    assert broken.view().state is BreakerState.CLOSED


async def test_a_timeout_of_the_caller_stays_a_timeout() -> None:
    broken = chain(Scripted("a", default=HANG))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await broken.model.generate(asked())
    assert broken.view().failures == 0


async def test_a_cancelled_probe_leaves_its_place_to_another() -> None:
    broken = chain(Scripted("a", *always(ModelTimedOut("x"), FAILURES), HANG, "sim"))
    for _ in range(FAILURES):
        with pytest.raises(LanguageModelError):
            await broken.model.generate(asked())
    await asyncio.sleep(REST)
    probe = asyncio.create_task(broken.model.generate(asked()))
    await asyncio.sleep(1)
    with pytest.raises(CircuitOpen):
        await broken.model.generate(asked())
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    await broken.model.generate(asked())
    assert broken.view().state is BreakerState.CLOSED


async def test_one_of_fifty_who_wait_tries_a_model_that_comes_back() -> None:
    broken = chain(Scripted("a", *always(ModelTimedOut("x"), FAILURES), says("sim", after=2)))
    for _ in range(FAILURES):
        with pytest.raises(LanguageModelError):
            await broken.model.generate(asked())
    await asyncio.sleep(REST)
    results = await asyncio.gather(
        *(broken.model.generate(asked()) for _ in range(50)), return_exceptions=True
    )
    assert broken.calls == [FAILURES + 1]
    assert sum(isinstance(result, CircuitOpen) for result in results) == 49
    assert broken.view().state is BreakerState.CLOSED


async def test_an_answer_from_before_the_circuit_opened_does_not_close_it() -> None:
    broken = chain(Scripted("a", says("sim", after=9), default=ModelTimedOut("x")))
    slow = asyncio.create_task(broken.model.generate(asked()))
    await asyncio.sleep(1)
    for _ in range(FAILURES):
        with pytest.raises(LanguageModelError):
            await broken.model.generate(asked())
    assert text_of((await slow).parts) == "sim"
    assert broken.view().state is BreakerState.OPEN


async def test_the_retry_that_meets_an_open_circuit_tells_what_opened_it() -> None:
    model = Scripted("a", *always(ModelTimedOut("x"), FAILURES - 1), DOWN)
    broken = chain(model)
    for _ in range(FAILURES - 1):
        with pytest.raises(LanguageModelError):
            await broken.model.generate(asked())
    with pytest.raises(ModelUnavailable) as failure:
        await broken.model.generate(asked())
    assert failure.value is DOWN
    assert broken.calls == [FAILURES]


async def test_an_error_of_the_listener_is_no_failure_of_the_model() -> None:
    broken = chain(Scripted("a"))

    async def fails(_: str) -> None:
        raise ModelUnavailable("the model that the listener asks")

    for _ in range(FAILURES + 1):
        with pytest.raises(ModelUnavailable):
            await broken.model.generate(asked(), fails)
    assert broken.view().failures == 0


async def test_a_listener_that_is_stuck_is_no_failure_of_the_model() -> None:
    broken = chain(Scripted("a"))

    async def stuck(_: str) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ModelTimedOut):
        await broken.model.generate(asked(), stuck)
    assert broken.view().failures == 0
