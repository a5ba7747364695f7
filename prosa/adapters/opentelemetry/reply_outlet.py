"""A reply outlet, seen: what it sends tells of the trace that it belongs to."""

from opentelemetry.trace import SpanKind

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.spans import Stored, Tracing, is_kept
from prosa.application.ports.reply_outlet import OutgoingReply, ReplyOutlet


class TracedReplyOutlet(ReplyOutlet):
    """Takes replies."""

    def __init__(self, outlet: ReplyOutlet, tracing: Tracing) -> None:
        self._outlet = outlet
        self._tracing = tracing
        self._attributes = {names.MESSAGING_SYSTEM: names.SQS, names.MESSAGING_TYPE: "send"}

    async def check(self) -> None:
        """Look at the outlet."""
        await self._outlet.check()

    async def send(self, reply: OutgoingReply) -> None:
        """Hand a reply over; see the port."""
        if not is_kept():
            await self._outlet.send(reply)
            return
        attributes = {**self._attributes, names.MESSAGING_ID: reply.id}
        with (
            self._tracing.step(names.SEND_REPLY, SpanKind.PRODUCER, attributes) as span,
            Stored(span),
        ):
            await self._outlet.send(reply)
