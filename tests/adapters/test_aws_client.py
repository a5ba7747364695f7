"""What the client of AWS promises to all adapters."""

import asyncio

import pytest

from prosa.adapters.aws_client import AwsClient, AwsFailure, TimeLimits
from tests.aws import running_stub


async def test_a_closed_client_begins_no_call_that_was_only_about_to_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_stub(monkeypatch) as stub:
        aws = AwsClient("events", TimeLimits())
        with aws._making:  # as if the machine were so busy that making the client took long
            call = asyncio.create_task(aws.call("list_event_buses"))
            await asyncio.sleep(0)
            aws.close()
        with pytest.raises(AwsFailure, match="closed before it was asked"):
            await call
        assert stub.requests == []
