"""Moves aliases of functions to their newest versions, by CodeDeploy, and back where one fails.

CodeDeploy moves each gradually and watches its alarms: modules/delivery of Terraform says which.
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_codedeploy.literals import DeploymentStatusType
    from mypy_boto3_codedeploy.type_defs import RevisionLocationTypeDef
    from mypy_boto3_lambda import LambdaClient

ALIAS = "live"

AT_ONCE = "CodeDeployDefault.LambdaAllAtOnce"
"""How an alias moves back."""

_ACTIVE: "tuple[DeploymentStatusType, ...]" = (
    "Created",
    "Queued",
    "InProgress",
    "Baking",
    "Ready",
)
_PAUSE_SECONDS = 10.0


class MoveFailed(Exception):
    """New versions were taken back, or could not be: the text says which, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """An alias on its way between versions; CodeDeploy's group has the function's short name."""

    group: str
    function: str
    before: str
    after: str

    def back(self) -> "Move":
        """Turn around."""
        return Move(group=self.group, function=self.function, before=self.after, after=self.before)

    def revision(self) -> "RevisionLocationTypeDef":
        """Say it as CodeDeploy wants it."""
        properties = {
            "Name": self.function,
            "Alias": ALIAS,
            "CurrentVersion": self.before,
            "TargetVersion": self.after,
        }
        resource = {"Type": "AWS::Lambda::Function", "Properties": properties}
        content = json.dumps({"version": 0.0, "Resources": [{self.function: resource}]})
        return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}

    def __str__(self) -> str:
        return f"{self.function} from version {self.before} to {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aliases:
    """The aliases of an environment's functions, whose names stand by their short ones."""

    codedeploy: "CodeDeployClient"
    awslambda: "LambdaClient"
    application: str
    functions: Mapping[str, str]
    say: Callable[[str], object] = print
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    seconds: float = 1200.0
    """How long CodeDeploy may take for one thing; the pipeline's credentials last for an hour."""

    def newest(self, group: str) -> str:
        """Say which version of a function Terraform made last. Raises LookupError: none."""
        name = self.functions[group]
        pages = self.awslambda.get_paginator("list_versions_by_function").paginate(
            FunctionName=name
        )
        versions = [one["Version"] for page in pages for one in page["Versions"]]
        numbers = [int(version) for version in versions if version.isdigit()]
        if not numbers:
            raise LookupError(f"{name} has no version: terraform apply makes the first")
        return str(max(numbers))

    def pending(self) -> list[Move]:
        """Find what is not at its newest version."""
        moves = [
            Move(group=group, function=name, before=self._live(name), after=self.newest(group))
            for group, name in sorted(self.functions.items())
        ]
        return [move for move in moves if move.before != move.after]

    def move(self, looks_well: Callable[[], object]) -> list[Move]:
        """Move all that is pending, side by side, and look at the whole; what was moved.

        What another run left under way is waited for first. Where a deployment fails, an alarm
        stops it, or `looks_well` raises, everything goes back. Raises MoveFailed.
        """
        self._wait_until_quiet()
        moves = self.pending()
        try:
            self._move_forth(moves)
            looks_well()
        except Exception as error:
            self.say(f"Taking everything back: {error}")
            self._take_back(moves)
            raise MoveFailed(f"every alias is where it was before: {error}") from error
        return moves

    def _live(self, function: str) -> str:
        return self.awslambda.get_alias(FunctionName=function, Name=ALIAS)["FunctionVersion"]

    def _move_forth(self, moves: list[Move]) -> None:
        begun = {self._begin(move): move for move in moves}
        for _ in self._looks():
            statuses = {key: self._status(key) for key in begun}
            bad = [key for key, status in statuses.items() if status in {"Failed", "Stopped"}]
            if bad:
                raise MoveFailed("; ".join(f"{begun[key]}: {self._why(key)}" for key in bad))
            if all(status == "Succeeded" for status in statuses.values()):
                return

    def _take_back(self, moves: list[Move]) -> None:
        """Stop what still moves, turn around what has moved, and see that all of it is back."""
        for move in moves:
            for deployment in self._active(move.group):
                self.codedeploy.stop_deployment(deploymentId=deployment, autoRollbackEnabled=True)
        self._wait_until_quiet()
        for move in moves:
            if self._live(move.function) != move.before:
                self._begin_back(move.back())
        self._wait_until_quiet()
        left = [move for move in moves if self._live(move.function) != move.before]
        if left:
            raise MoveFailed(
                f"not taken back: {'; '.join(map(str, left))}. By hand: aws lambda update-alias "
                f"--name {ALIAS} --routing-config AdditionalVersionWeights={{}} --function-name … "
                "--function-version …"
            )

    def _begin(self, move: Move) -> str:
        self.say(f"Moving {move}")
        begun = self.codedeploy.create_deployment(
            applicationName=self.application,
            deploymentGroupName=move.group,
            revision=move.revision(),
        )
        return begun["deploymentId"]

    def _begin_back(self, move: Move) -> None:
        # By CodeDeploy too, so that it knows what went well last. The alarms may still ring.
        self.say(f"Moving back {move}")
        self.codedeploy.create_deployment(
            applicationName=self.application,
            deploymentGroupName=move.group,
            deploymentConfigName=AT_ONCE,
            overrideAlarmConfiguration={"enabled": False},
            autoRollbackConfiguration={"enabled": False},
            revision=move.revision(),
        )

    def _status(self, deployment: str) -> str:
        return self.codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]["status"]

    def _why(self, deployment: str) -> str:
        told = self.codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
        error = told.get("errorInformation", {})
        return f"{told['status']}, {error.get('code', '')} {error.get('message', '')}".rstrip(", ")

    def _active(self, group: str) -> list[str]:
        return self.codedeploy.list_deployments(
            applicationName=self.application,
            deploymentGroupName=group,
            includeOnlyStatuses=list(_ACTIVE),
        )["deployments"]

    def _wait_until_quiet(self) -> None:
        for _ in self._looks():
            if not any(self._active(group) for group in self.functions):
                return

    def _looks(self) -> Iterator[None]:
        """Give the times at which to look. Raises TimeoutError at the last."""
        until = self.clock() + self.seconds
        while self.clock() < until:
            yield
            self.sleep(_PAUSE_SECONDS)
        raise TimeoutError(f"CodeDeploy was not done within {self.seconds:.0f} s")
