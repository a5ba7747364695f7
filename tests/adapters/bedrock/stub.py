"""A Bedrock for tests: answers well unless it is told otherwise, or breaks in every way."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from embedded_aws.bedrock.refusals import what_is_wrong
from embedded_aws.bedrock.wire_format import (
    converse_answer,
    error,
    event_stream,
    json_answer,
    operation,
    said,
    tool_use,
)
from embedded_aws.loopback_server import (
    Answerer,
    Json,
    LoopbackServer,
    Received,
    Step,
    served,
)

WORDS = ("Olá", ", Ana", "! ", "Seu pedido ", "já ", "está a caminho ", "🚚.")
TEXT = "".join(WORDS)
CARD = "4111 1111 1111 1111"
MASK = "{CREDIT_DEBIT_CARD_NUMBER}"


def answered_well(received: Received) -> Iterable[Step]:
    """Answer as a model that is well does; what Bedrock would refuse is refused."""
    if operation(received) == "apply":
        return [json_answer(judged(received.body))]
    if fault := what_is_wrong(received.body):
        return [error(400, "ValidationException", fault)]
    return [answer_with(received, words_for(received.body))]


@asynccontextmanager
async def running_stub(otherwise: Answerer = answered_well) -> AsyncIterator[LoopbackServer]:
    stub = LoopbackServer(otherwise)
    async with served(stub):
        yield stub


def environment(url: str) -> dict[str, str]:
    """Give the variables by which boto3 finds the stub, and nothing of this machine's own."""
    return {
        "AWS_ACCESS_KEY_ID": "loopback",
        "AWS_SECRET_ACCESS_KEY": "loopback",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_CONFIG_FILE": "/nowhere",
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def words_for(body: Json) -> tuple[str, ...]:
    """Choose what to say: JSON where a schema was sent or put into words."""
    asked = "JSON Schema" in json.dumps(body) or "outputConfig" in body
    return ('{"answer": ', '"yes"}') if asked else WORDS


def answer_with(received: Received, words: Iterable[str]) -> bytes:
    """Say the words, whole or as a stream, or call the tool that has to be called."""
    if operation(received) == "converse-stream":
        return event_stream(said(words))
    choice = received.body.get("toolConfig", {}).get("toolChoice")
    if choice:
        block = tool_use(choice["tool"]["name"], {"answer": "yes"})
        return json_answer(converse_answer(block, stop_reason="tool_use"))
    return json_answer(converse_answer({"text": "".join(words)}))


def judged(body: Json) -> Json:
    """Judge a passage as a guardrail does that masks a card and blocks an attack."""
    text = body["content"][0]["text"]["text"]
    if "system" in text:
        attack = {"type": "PROMPT_ATTACK", "confidence": "HIGH", "action": "BLOCKED"}
        return verdict({"contentPolicy": {"filters": [attack]}}, "Sorry, I cannot answer that.")
    if CARD in text:
        card = {"match": CARD, "type": "CREDIT_DEBIT_CARD_NUMBER", "action": "ANONYMIZED"}
        found = {"sensitiveInformationPolicy": {"piiEntities": [card], "regexes": []}}
        return verdict(found, text.replace(CARD, MASK))
    return {"action": "NONE", "outputs": [], "assessments": [], "usage": {}}


def verdict(assessment: Json, text: str) -> Json:
    return {
        "action": "GUARDRAIL_INTERVENED",
        "outputs": [{"text": text}],
        "assessments": [assessment],
        "usage": {},
    }
