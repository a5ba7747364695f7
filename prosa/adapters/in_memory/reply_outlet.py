"""A reply outlet that remembers what it took, and fails by script."""

from collections import deque
from collections.abc import Iterable

from prosa.application.ports.reply_outlet import OutgoingReply, ReplyOutlet, ReplyOutletError


class RecordingReplyOutlet(ReplyOutlet):
    """Answers as its script says, then takes everything; None in it takes one."""

    def __init__(self, script: Iterable[ReplyOutletError | None] = ()) -> None:
        self.script = deque(script)
        self.sent: list[OutgoingReply] = []
        """What was taken, in order, as often as it was."""

    async def send(self, reply: OutgoingReply) -> None:
        """Take it, or fail."""
        error = self.script.popleft() if self.script else None
        if error is not None:
            raise error
        self.sent.append(reply)

    async def check(self) -> None:
        """There is nothing to look at."""
