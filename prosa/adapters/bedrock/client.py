"""boto3's client of the Bedrock runtime, for several threads, without retries of its own.

Importing this module imports boto3, which takes longer than anything else here.
"""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TYPE_CHECKING, Literal

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.session import get_session

from prosa.adapters.bedrock.failures import failures_translated
from prosa.adapters.bedrock.wire_format import Json
from prosa.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.eventstream import EventStream
    from urllib3 import HTTPResponse

Operation = Literal["converse", "apply_guardrail"]

CONNECT_SECONDS = 3.0
SHORTEST_READ_SECONDS = 0.05


class BedrockClient:
    """Makes requests, each in the thread that asks for it. Raises LanguageModelError.

    Region, credentials and endpoint are those that boto3 finds in its own environment. `until` is
    an instant of the monotonic clock: from then on the thread waits for its socket no more.
    """

    def __init__(self, source: str, *, connections: int) -> None:
        """Send nothing; `source` is whom errors name. Raises ConfigurationError."""
        self._source = source
        self._of_thread = threading.local()
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            max_pool_connections=connections,
            retries={"total_max_attempts": 1, "mode": "standard"},
            tcp_keepalive=True,
            # Bedrock checks as well, and errors of boto3's own would quote the conversation.
            parameter_validation=False,
            user_agent="prosa",
        )
        try:
            self._boto = get_session().create_client("bedrock-runtime", config=config)
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationError(f"{source} cannot be opened: {error}") from error
        events = self._boto.meta.events
        events.register("request-created.bedrock-runtime", self._limit_reads)
        events.register("before-parse.bedrock-runtime", self._hand_over_response)

    def answer(self, operation: Operation, arguments: Json, until: float) -> Json:
        """Make a request and give the whole answer."""
        self._prepare(until, lambda _: None)
        with failures_translated(self._source):
            answer: Json = getattr(self._boto, operation)(**arguments)
            return answer

    def events(
        self, arguments: Json, until: float, on_response: "Callable[[HTTPResponse], None]"
    ) -> Generator[Json]:
        """Make a streamed request and give its events; `on_response` gets what they are read from.

        Being closed, end the request.
        """
        self._prepare(until, on_response)
        operation = "converse_stream"
        with failures_translated(self._source):
            stream: EventStream[Json] = getattr(self._boto, operation)(**arguments)["stream"]
            with closing(stream):
                yield from stream

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._boto.close()

    def _prepare(self, until: float, on_response: "Callable[[HTTPResponse], None]") -> None:
        self._of_thread.until = until
        self._of_thread.on_response = on_response

    def _limit_reads(self, request: "AWSRequest", **_: object) -> None:
        """Give the socket no more time than the call has left."""
        left = self._of_thread.until - time.monotonic()
        request.context["read_timeout"] = max(left, SHORTEST_READ_SECONDS)

    def _hand_over_response(self, response_dict: "dict[str, HTTPResponse]", **_: object) -> None:
        self._of_thread.on_response(response_dict["body"])
