"""Readiness tells of what runs on AWS, without asking AWS each time."""

import pytest

from embedded_aws.loopback_server import HANG, LoopbackServer, json_response
from prosa.bootstrap import App, bootstrap
from prosa.bootstrap.parts import Probe
from prosa.bootstrap.probes import LOOK_AGAIN_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS, RareLook
from prosa.domain.errors import ProsaError
from prosa.entrypoints.http.routes.health import PROBE_SECONDS
from prosa.settings import Settings
from tests.aws import aws_error, operation, running_stub

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:take_turn"
QUEUE = "http://127.0.0.1:1/123456789012/replies.fifo"


@pytest.fixture
def settings(sqlite_url: str) -> Settings:
    """Name all of AWS that may be named."""
    return Settings(
        database_url=sqlite_url,
        models="scripted",
        turn_runner=f"step_functions:{MACHINE}",
        event_bus="eventbridge:orders",
        reply_queue=QUEUE,
    )


def probe(app: App, name: str) -> Probe:
    """Find a probe."""
    return next(probe for probe in app.probes if probe.name == name)


def asked(stub: LoopbackServer) -> list[str]:
    """List what AWS was asked."""
    return [operation(one) for one in stub.requests]


async def test_all_that_settings_name_is_looked_at(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_stub(monkeypatch) as stub, bootstrap(settings) as app:
        stub.will(json_response(200, {"type": "STANDARD"}))
        names = [probe.name for probe in app.probes]
        assert names == ["database", "state machine", "event bus", "reply queue", "model scripted"]
        for one in app.probes[:-1]:
            assert await one.check() is None
        assert asked(stub) == ["DescribeStateMachine", "DescribeEventBus", "GetQueueAttributes"]


async def test_without_its_state_machine_a_server_is_not_ready(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_stub(monkeypatch) as stub, bootstrap(settings) as app:
        stub.will(aws_error(400, "StateMachineDoesNotExist"))
        for _ in range(2):
            with pytest.raises(ProsaError, match=f"there is no state machine {MACHINE}"):
                await probe(app, "state machine").check()
        assert asked(stub) == ["DescribeStateMachine"]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("event bus", "ResourceNotFoundException", "no event bus 'orders'"),
        ("event bus", "AccessDeniedException", "does not let this process use the event bus"),
        ("reply queue", "QueueDoesNotExist", "no such thing in this account and region"),
    ],
)
async def test_what_events_and_replies_wait_for_is_told_and_a_server_is_ready(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str, code: str, words: str
) -> None:
    async with running_stub(monkeypatch) as stub, bootstrap(settings) as app:
        stub.will(aws_error(400, code))
        for _ in range(2):
            told = await probe(app, name).check()
            assert told is not None
            assert words in told
            assert told.endswith("; what is for it waits meanwhile")
        assert len(stub.requests) == 1


async def test_a_bus_that_does_not_answer_does_not_hold_up_readiness(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_stub(monkeypatch) as stub, bootstrap(settings) as app:
        stub.will(HANG)
        for _ in range(2):  # it is not asked again at once
            told = await probe(app, "event bus").check()
            assert told == "no answer yet; what is for it waits meanwhile"
        assert len(stub.requests) == 1
        assert PATIENCE_SECONDS < PROBE_SECONDS


class Part:
    """Is wrong as long as it is told to be."""

    def __init__(self) -> None:
        self.wrong: ProsaError | None = None
        self.looks = 0

    async def check(self) -> None:
        """Count the look."""
        self.looks += 1
        if self.wrong is not None:
            raise self.wrong


async def test_what_was_right_is_looked_at_again_after_a_while_and_what_was_wrong_sooner() -> None:
    part, now = Part(), [0.0]
    look = RareLook(part.check, timer=lambda: now[0])
    for moment in (0.0, LOOK_SECONDS - 1):
        now[0] = moment
        await look()
    assert part.looks == 1

    part.wrong = ProsaError("gone")
    for moment in (LOOK_SECONDS, LOOK_SECONDS + LOOK_AGAIN_SECONDS - 1):
        now[0] = moment
        with pytest.raises(ProsaError, match="gone"):
            await look()
    assert part.looks == 2

    part.wrong = None
    now[0] = LOOK_SECONDS + LOOK_AGAIN_SECONDS
    await look()
    assert part.looks == 3
