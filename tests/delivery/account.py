"""An account with functions and CodeDeploy, in virtual time, behind boto3's own clients.

Requests are checked by boto3 against AWS's description of the service, and never leave the process.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from botocore.model import OperationModel

if TYPE_CHECKING:
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_lambda import LambdaClient

APPLICATION = "prosa-test"
SECONDS_TO_MOVE = 300.0
ALARM = "alarm prosa-test-http-errors rings"


@cache
def session() -> Any:  # noqa: ANN401 - the stubs know services by literals
    """Keep what AWS's services look like: to read it takes longer than a test."""
    return boto3.Session(
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106 - nobody's
        region_name="eu-west-1",
    )


@dataclass(slots=True, kw_only=True)
class Function:
    """A function: its versions, and where its alias is."""

    versions: list[str]
    live: str


@dataclass(slots=True, kw_only=True)
class Deployment:
    """An alias on its way."""

    id: str
    group: str
    function: str
    before: str
    after: str
    asked: Mapping[str, Any]
    ends_at: float
    status: str = "InProgress"
    stopped_with_rollback: bool | None = None


@dataclass(slots=True, kw_only=True)
class Account:
    """What AWS would have.

    Of the groups, those in `alarmed` are stopped on their way forth, `broken` ones fail both ways,
    `stuck` ones never end, and `refused` ones cannot begin.
    """

    functions: dict[str, Function]
    now: float = 0.0
    seconds_to_move: float = SECONDS_TO_MOVE
    alarmed: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    deployments: list[Deployment] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    """What functions answer, by the operation that calls them."""
    called: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def clients(self) -> "tuple[CodeDeployClient, LambdaClient]":
        return self.client("codedeploy"), self.client("lambda")

    def client(self, service: str, **_: object) -> Any:  # noqa: ANN401 - of any service
        client = session().client(service)
        events, name = client.meta.events, client.meta.service_model.service_id.hyphenize()
        events.register(f"before-parameter-build.{name}", self._note)
        events.register(f"before-call.{name}", self._answer)
        return client

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for one in self.deployments:
            if one.status == "InProgress" and one.ends_at <= self.now:
                self._end(one)

    def statuses(self) -> dict[str, str]:
        return {one.group: one.status for one in self.deployments}

    def _end(self, one: Deployment) -> None:
        if one.group in self.alarmed and "overrideAlarmConfiguration" not in one.asked:
            one.status = "Stopped"
            return
        if one.group in self.broken:
            one.status = "Failed"
            return
        one.status = "Succeeded"
        self.functions[one.function].live = one.after

    def _note(self, params: Mapping[str, Any], context: dict[str, Any], **_: object) -> None:
        context["asked"] = params

    def _answer(self, model: OperationModel, context: Mapping[str, Any], **_: object) -> Any:  # noqa: ANN401 - the stubs know of no answer
        self.called.append((model.name, context["asked"]))
        answer = getattr(self, xform_name(model.name))(context["asked"])
        return AWSResponse("https://aws.test", 200, {}, None), answer  # type: ignore[arg-type] # boto3 reads no more than the status

    # What boto3 calls, by boto3's names.

    def list_versions_by_function(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        versions = ["$LATEST", *self.functions[asked["FunctionName"]].versions]
        return {"Versions": [{"Version": version} for version in versions]}

    def get_alias(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        assert asked["Name"] == "live"
        return {"FunctionVersion": self.functions[asked["FunctionName"]].live}

    def invoke(self, _asked: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self.answers["Invoke"])

    def invoke_with_response_stream(self, _asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"EventStream": self.answers["InvokeWithResponseStream"]}

    def create_deployment(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        group = asked["deploymentGroupName"]
        if group in self.refused:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "CreateDeployment")
        assert asked["applicationName"] == APPLICATION
        assert not [one for one in self._active() if one.group == group], "one at a time"
        content = json.loads(asked["revision"]["appSpecContent"]["content"])
        (resource,) = content["Resources"]
        ((function, described),) = resource.items()
        properties = described["Properties"]
        assert described["Type"] == "AWS::Lambda::Function"
        assert properties["Name"] == function
        assert properties["CurrentVersion"] == self.functions[function].live
        at_once = str(asked.get("deploymentConfigName")).endswith("AllAtOnce")
        seconds = float("inf") if group in self.stuck else 0 if at_once else self.seconds_to_move
        deployment = Deployment(
            id=f"d-{next(self._ids)}",
            group=group,
            function=function,
            before=properties["CurrentVersion"],
            after=properties["TargetVersion"],
            asked=asked,
            ends_at=self.now + seconds,
        )
        self.deployments.append(deployment)
        if not seconds:
            self._end(deployment)
        return {"deploymentId": deployment.id}

    def get_deployment(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        one = next(one for one in self.deployments if one.id == asked["deploymentId"])
        told: dict[str, Any] = {"status": one.status}
        if one.group in self.alarmed:
            told["errorInformation"] = {"code": "ALARM_ACTIVE", "message": ALARM}
        return {"deploymentInfo": told}

    def stop_deployment(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        one = next(one for one in self.deployments if one.id == asked["deploymentId"])
        one.status, one.stopped_with_rollback = "Stopped", asked["autoRollbackEnabled"]
        return {"status": "Pending"}

    def list_deployments(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        group, wanted = asked["deploymentGroupName"], asked["includeOnlyStatuses"]
        assert "InProgress" in wanted
        return {"deployments": [one.id for one in self._active() if one.group == group]}

    def list_user_pool_clients(self, _asked: Mapping[str, Any]) -> dict[str, Any]:
        return {"UserPoolClients": []}

    def _active(self) -> list[Deployment]:
        return [one for one in self.deployments if one.status == "InProgress"]
