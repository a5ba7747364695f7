"""What is particular to secrets kept by AWS: JSON, ARNs, and what AWS says when it will not."""

import json
import logging
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator

import pytest

from embedded_aws.loopback_server import CLOSE, HANG, LoopbackServer, Step, json_response, response
from embedded_aws.moto_server import own_client
from prosa.adapters.aws_client import TimeLimits
from prosa.adapters.secrets_manager.references import Reference, parsed
from prosa.adapters.secrets_manager.secret_store import AwsSecretStore
from prosa.application.ports.secret_store import SecretUnavailable, SecretUnreadable
from prosa.settings import is_reference
from tests.aws import aws_error, running_stub

VALUE = "xyzzy"


@pytest.fixture
async def secrets() -> AsyncIterator[AwsSecretStore]:
    secrets = AwsSecretStore()
    yield secrets
    secrets.close()


class TestReferences:
    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("secretsmanager:prod/db", ("secretsmanager", "prod/db", None)),
            ("secretsmanager:prod/db#password", ("secretsmanager", "prod/db", "password")),
            (
                "secretsmanager:arn:aws:secretsmanager:eu-west-1:1:secret:db-AbCdEf#a#b",
                ("secretsmanager", "arn:aws:secretsmanager:eu-west-1:1:secret:db-AbCdEf", "a#b"),
            ),
            ("ssm:/prod/key:3", ("ssm", "/prod/key:3", None)),
        ],
    )
    def test_a_reference_says_where_a_secret_is(
        self, text: str, place: tuple[str, str, str | None]
    ) -> None:
        store, name, key = place
        assert is_reference(text)
        assert parsed(text) == Reference(store=store, name=name, key=key)

    @pytest.mark.parametrize("text", ["", "sk-123", "ssm", "SSM:/a", "vault:a", "http://ssm:80"])
    def test_any_other_text_is_the_secret_itself(self, text: str) -> None:
        assert not is_reference(text)

    @pytest.mark.parametrize("text", ["ssm:", "secretsmanager:#key", "secretsmanager:a#", "other"])
    def test_half_a_reference_is_refused_with_how_to_write_one(self, text: str) -> None:
        with pytest.raises(SecretUnreadable, match="write secretsmanager:NAME"):
            parsed(text)


@pytest.mark.usefixtures("aws")
class TestSecrets:
    def create(self, secret: str | bytes) -> str:
        """Make a secret named `a`, and give its ARN."""
        kind = "SecretBinary" if isinstance(secret, bytes) else "SecretString"
        with own_client("secretsmanager") as client:
            arn: str = client.create_secret(Name="a", **{kind: secret})["ARN"]
        return arn

    async def test_of_a_json_secret_one_key_is_read_or_the_whole(
        self, secrets: AwsSecretStore
    ) -> None:
        whole = json.dumps({"username": "prosa", "password": "p#ss: ção"})
        arn = self.create(whole)
        assert await secrets.get("secretsmanager:a#password") == "p#ss: ção"
        assert await secrets.get(f"secretsmanager:{arn}#username") == "prosa"
        assert await secrets.get("secretsmanager:a") == whole

    @pytest.mark.parametrize(
        "secret", [VALUE, f'["{VALUE}"]', f'{{"{VALUE}": "1"}}', '{"key": 7}', '{"key": null}']
    )
    async def test_a_key_that_is_not_there_is_said_without_what_is(
        self, secrets: AwsSecretStore, secret: str
    ) -> None:
        self.create(secret)
        with pytest.raises(
            SecretUnreadable, match=r"secretsmanager:a#key: .* under 'key'"
        ) as failed:
            await secrets.get("secretsmanager:a#key")
        assert VALUE not in "".join(traceback.format_exception(failed.value))
        assert failed.value.__context__ is None

    async def test_bytes_are_no_secret_of_ours(self, secrets: AwsSecretStore) -> None:
        self.create(VALUE.encode())
        with pytest.raises(SecretUnreadable, match="secretsmanager:a: it holds bytes"):
            await secrets.get("secretsmanager:a")

    async def test_no_log_holds_a_secret_at_any_level(
        self, secrets: AwsSecretStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.create(VALUE)
        with own_client("ssm") as client:
            client.put_parameter(Name="/a", Value=VALUE, Type="SecureString")
        caplog.set_level(logging.DEBUG)
        caplog.clear()
        assert await secrets.get("secretsmanager:a") == VALUE
        assert await secrets.get("ssm:/a") == VALUE
        assert "botocore" in caplog.text
        assert VALUE not in caplog.text


@pytest.fixture
async def stub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopbackServer]:
    async with running_stub(monkeypatch) as stub:
        yield stub


class TestFailures:
    @pytest.mark.parametrize(
        ("steps", "words"),
        [
            ((aws_error(400, "AccessDeniedException", VALUE),), "permission secretsmanager:Get"),
            ((aws_error(400, "ResourceNotFoundException"),), "there is no such secret"),
            ((aws_error(400, "DecryptionFailure"),), r"AWS refused \(DecryptionFailure\)"),
            ((json_response(200, {}),), "it holds bytes"),
            ((response(200, VALUE.encode()),), "it holds bytes"),
        ],
    )
    async def test_what_will_not_pass_names_the_reference_and_what_to_mend(
        self, stub: LoopbackServer, secrets: AwsSecretStore, steps: tuple[Step, ...], words: str
    ) -> None:
        stub.will(*steps)
        with pytest.raises(SecretUnreadable, match=f"cannot read secretsmanager:a: .*{words}") as e:
            await secrets.get("secretsmanager:a")
        assert VALUE not in str(e.value)
        assert len(stub.requests) == 1

    @pytest.mark.parametrize(
        ("steps", "code"),
        [
            ((aws_error(400, "ThrottlingException"),), "ThrottlingException"),
            ((aws_error(500, "InternalServiceError", VALUE),), "InternalServiceError"),
            ((response(502, b"<html>"),), "502"),
            ((CLOSE,), "ConnectionClosedError"),
        ],
    )
    async def test_what_may_pass_is_told_after_one_request(
        self, stub: LoopbackServer, secrets: AwsSecretStore, steps: tuple[Step, ...], code: str
    ) -> None:
        stub.will(*steps)
        words = rf"cannot read ssm:/a: AWS cannot be reached, or failed \({code}\)"
        with pytest.raises(SecretUnavailable, match=words) as failed:
            await secrets.get("ssm:/a")
        assert VALUE not in str(failed.value)
        assert len(stub.requests) == 1

    async def test_a_store_that_hangs_is_given_up(self, stub: LoopbackServer) -> None:
        stub.will(HANG)
        secrets = AwsSecretStore(limits=TimeLimits(read=0.3))
        with pytest.raises(SecretUnavailable, match="ReadTimeoutError"):
            await secrets.get("secretsmanager:a")
        secrets.close()

    async def test_nobody_in_particular_may_not_read(
        self, stub: LoopbackServer, secrets: AwsSecretStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(SecretUnreadable, match="needs credentials"):
            await secrets.get("secretsmanager:a")
        assert stub.requests == []


def test_neither_adapter_loads_boto3_before_it_is_needed() -> None:
    program = """
import sys
from prosa.adapters.eventbridge.event_bus import EventBridgeEventBus
from prosa.adapters.secrets_manager.secret_store import AwsSecretStore
EventBridgeEventBus().close()
AwsSecretStore().close()
sys.exit("boto3" in sys.modules or "botocore" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
