"""What Bedrock refuses about a conversation, before any model sees it."""

import re
from collections.abc import Iterable
from itertools import pairwise

from embedded_aws.loopback_server import Json

_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")


def what_is_wrong(body: Json) -> str | None:
    """Say what is wrong with a Converse request, in Bedrock's way; None where it is well."""
    roles = [message["role"] for message in body["messages"]]
    blocks = [block for message in body["messages"] for block in message["content"]]
    uses_tools = any("toolUse" in block or "toolResult" in block for block in blocks)
    metadata = body.get("requestMetadata", {}).values()
    checks = (
        (roles[:1] != ["user"], "A conversation must start with a user message."),
        (any(one == next_ for one, next_ in pairwise(roles)), "Roles must alternate."),
        (not all(block.get("text", "-").strip() for block in blocks), "The text field is blank."),
        (uses_tools and "toolConfig" not in body, "The toolConfig field must be defined."),
        (_unpaired(blocks), "Expected toolResult blocks for the toolUse blocks."),
        (not all(_METADATA.fullmatch(value) for value in metadata), "Invalid requestMetadata."),
    )
    return next((what for applies, what in checks if applies), None)


def _unpaired(blocks: Iterable[Json]) -> bool:
    used = {block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block}
    return used != {block["toolResult"]["toolUseId"] for block in blocks if "toolResult" in block}
