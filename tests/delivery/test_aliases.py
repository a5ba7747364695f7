"""New versions come gradually and all together, and go all together."""

import pytest

from infrastructure.delivery.aliases import Aliases, Move, MoveFailed
from tests.delivery.account import ALARM, APPLICATION, SECONDS_TO_MOVE, Account, Function

NAMES = {"http": "prosa-test-http", "migrate": "prosa-test-migrate", "generate": "prosa-test-gen"}


@pytest.fixture
def account() -> Account:
    """Every function has a version that nobody calls, but `migrate`, which did not change."""
    functions = {name: Function(versions=["1", "2", "10"], live="2") for name in NAMES.values()}
    functions[NAMES["migrate"]].live = "10"
    return Account(functions=functions)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def aliases(account: Account, said: list[str]) -> Aliases:
    codedeploy, awslambda = account.clients()
    return Aliases(
        codedeploy=codedeploy,
        awslambda=awslambda,
        application=APPLICATION,
        functions=NAMES,
        say=said.append,
        sleep=account.sleep,
        clock=lambda: account.now,
    )


def looks_well() -> None:
    """Find nothing wrong."""


def live(account: Account) -> dict[str, str]:
    return {group: account.functions[name].live for group, name in NAMES.items()}


OLD = {"http": "2", "migrate": "10", "generate": "2"}
NEW = {"http": "10", "migrate": "10", "generate": "10"}


def test_the_newest_version_is_the_one_with_the_highest_number(aliases: Aliases) -> None:
    assert aliases.newest("http") == "10"


def test_a_function_without_versions_is_told_of(account: Account, aliases: Aliases) -> None:
    account.functions[NAMES["http"]].versions = []
    with pytest.raises(LookupError, match="prosa-test-http has no version"):
        aliases.newest("http")


def test_all_move_side_by_side_and_what_did_not_change_stays(
    account: Account, aliases: Aliases
) -> None:
    moved = aliases.move(looks_well)
    assert live(account) == NEW
    assert [move.group for move in moved] == ["generate", "http"]
    assert account.now <= SECONDS_TO_MOVE + 30


def test_the_environments_own_way_of_moving_is_used_on_the_way_forth(
    account: Account, aliases: Aliases
) -> None:
    aliases.move(looks_well)
    for one in account.deployments:
        assert not {"deploymentConfigName", "overrideAlarmConfiguration"} & set(one.asked)


def test_a_second_run_moves_nothing(account: Account, aliases: Aliases) -> None:
    aliases.move(looks_well)
    assert aliases.move(looks_well) == []
    assert len(account.deployments) == 2


def test_when_an_alarm_stops_one_all_go_back(account: Account, aliases: Aliases) -> None:
    account.alarmed = {"http"}
    with pytest.raises(MoveFailed, match=f"prosa-test-http from version 2 to 10: .*{ALARM}"):
        aliases.move(looks_well)
    assert live(account) == OLD


def test_what_still_moves_is_stopped_and_goes_back_by_itself(
    account: Account, aliases: Aliases
) -> None:
    account.alarmed, account.stuck = {"http"}, {"generate"}
    with pytest.raises(MoveFailed):
        aliases.move(looks_well)
    assert account.statuses()["generate"] == "Stopped"
    assert account.deployments[0].stopped_with_rollback
    assert live(account) == OLD


def test_the_way_back_is_at_once_and_heeds_no_alarm(account: Account, aliases: Aliases) -> None:
    account.alarmed = {"http"}
    with pytest.raises(MoveFailed):
        aliases.move(looks_well)
    back = account.deployments[-1]
    assert (back.group, back.before, back.after) == ("generate", "10", "2")
    assert back.asked["deploymentConfigName"] == "CodeDeployDefault.LambdaAllAtOnce"
    assert back.asked["overrideAlarmConfiguration"] == {"enabled": False}


def test_when_the_whole_does_not_look_well_all_go_back(account: Account, aliases: Aliases) -> None:
    def looks_ill() -> None:
        raise RuntimeError("GET /readyz was answered with 503, not 200")

    with pytest.raises(MoveFailed, match="where it was before: GET /readyz"):
        aliases.move(looks_ill)
    assert live(account) == OLD
    assert set(account.statuses().values()) == {"Succeeded"}


def test_when_one_cannot_be_begun_the_others_go_back(account: Account, aliases: Aliases) -> None:
    account.refused = {"http"}
    with pytest.raises(MoveFailed, match="ThrottlingException"):
        aliases.move(looks_well)
    assert live(account) == OLD
    assert account.statuses() == {"generate": "Stopped"}


def test_when_codedeploy_takes_too_long_all_go_back(account: Account, aliases: Aliases) -> None:
    account.stuck = {"http"}
    with pytest.raises(MoveFailed, match="not done within 1200 s"):
        aliases.move(looks_well)
    assert live(account) == OLD


def test_what_another_run_left_under_way_is_waited_for(account: Account, aliases: Aliases) -> None:
    other = Move(group="http", function=NAMES["http"], before="2", after="10")
    aliases._begin(other)
    assert [move.group for move in aliases.move(looks_well)] == ["generate"]
    assert live(account) == NEW
    assert account.now >= 2 * SECONDS_TO_MOVE


def test_what_does_not_go_back_is_named_with_what_to_do(account: Account, aliases: Aliases) -> None:
    def breaks() -> None:
        account.broken = {"generate"}
        raise RuntimeError("ill")

    with pytest.raises(MoveFailed, match=r"not taken back: prosa-test-gen .*update-alias"):
        aliases.move(breaks)
    assert live(account) == {**OLD, "generate": "10"}


def test_every_step_is_said(aliases: Aliases, account: Account, said: list[str]) -> None:
    account.alarmed = {"http"}
    with pytest.raises(MoveFailed):
        aliases.move(looks_well)
    assert [line.partition(" ")[0] for line in said] == ["Moving", "Moving", "Taking", "Moving"]
    assert said[-1] == "Moving back prosa-test-gen from version 10 to 2"
