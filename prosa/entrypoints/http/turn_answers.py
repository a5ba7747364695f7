"""A customer's message, answered as its client wants: plain, as a stream, or later."""

from functools import partial

from fastapi import Request, Response

from prosa.adapters.log_context import TURN_ID
from prosa.application.accept_turn import AcceptedTurn, CustomerMessage
from prosa.application.take_turn import TakeTurn
from prosa.domain.errors import TurnFailed
from prosa.domain.turn import Attempt, Turn
from prosa.entrypoints.http import problems
from prosa.entrypoints.http.elsewhere import completed_elsewhere
from prosa.entrypoints.http.event_stream import (
    EventStream,
    finished_stream,
    live_events,
)
from prosa.entrypoints.http.live_turns import LiveTurn
from prosa.entrypoints.http.parts import Serving, serving_of
from prosa.entrypoints.http.preferences import Preferences, answer_within, read_preferences
from prosa.entrypoints.http.problem_table import problem_of
from prosa.entrypoints.http.rendering import View, json_answer, turn_view
from prosa.entrypoints.http.request_facts import RequestFacts, facts_of

ACCEPTED = 202


def preferences_of(request: Request) -> Preferences:
    """Say how the client wants its turn answered, as far as it can be."""
    facts = facts_of(request.scope)
    preferences = read_preferences(",".join(facts.lines(b"accept")), facts.lines(b"prefer"))
    seconds = answer_within(request.scope)
    if seconds is None:
        return preferences
    later = serving_of(request).parts.run_elsewhere is not None
    return preferences.within(seconds, later=later)


async def answer_message(
    request: Request, message: CustomerMessage, preferences: Preferences
) -> Response:
    """Take the message's turn and answer with it. Raises what TakeTurn raises."""
    facts = facts_of(request.scope)
    serving = serving_of(request)
    serving.live_turns.require_open()
    accepted = await _accept(serving.parts.take_turn, message, facts)
    if accepted.attempt is None:
        return _answer_finished(request, accepted.turn, preferences)
    if preferences.respond_async and not preferences.stream:
        return await _answer_later(request, accepted.attempt)
    live = _run(serving, accepted.attempt, facts.trace_id if preferences.stream else None)
    if preferences.stream:
        return await _answer_with_stream(request, live)
    return json_answer(turn_view(await live.completed()))


def _run(serving: Serving, attempt: Attempt, streamed_in: str | None) -> LiveTurn:
    """Run an attempt, here or elsewhere; what runs elsewhere is streamed once it is complete.

    `streamed_in` is the trace of a request for a stream.
    """
    parts, live_turns = serving.parts, serving.live_turns
    if parts.run_elsewhere is not None:
        read = partial(parts.conversations.get_turn, attempt.tenant_id, attempt.turn_id)
        completed = completed_elsewhere(attempt, parts.run_elsewhere, read)
        return live_turns.wait(attempt.turn, completed)
    if streamed_in is not None:
        return _stream(serving, attempt, streamed_in)
    return live_turns.run(parts.take_turn, attempt)


def _stream(serving: Serving, attempt: Attempt, trace_id: str) -> LiveTurn:
    """Run an attempt here, and report its failure also where nobody reads the stream any more."""

    def report(error: BaseException) -> None:
        if live.pieces:  # before the first one the failure is the answer, and reported as such
            problems.report(error, trace_id)

    live = serving.live_turns.stream(serving.parts.take_turn, attempt, report)
    return live


async def _accept(
    take_turn: TakeTurn, message: CustomerMessage, facts: RequestFacts
) -> AcceptedTurn:
    """Claim the turn, and keep what any answer from now on has to say of it."""
    try:
        accepted = await take_turn.accept(message)
    except TurnFailed:
        facts.replayed = True
        raise
    facts.turn_id = accepted.turn.id
    TURN_ID.set(accepted.turn.id)
    facts.replayed = accepted.replayed
    return accepted


def _answer_finished(request: Request, turn: Turn, preferences: Preferences) -> Response:
    if not preferences.stream:
        return json_answer(turn_view(turn))
    return finished_stream(turn, 0, lambda problem: problems.document(problem, request))


async def _answer_with_stream(request: Request, live: LiveTurn) -> Response:
    """Answer with the events of the turn, once there is something of it to show.

    Raises what the turn fails of, where that comes first.
    """

    def tell_failure(error: BaseException) -> View:
        return problems.document(problem_of(error), request)

    serving = serving_of(request)
    await live.changed()
    if not live.pieces:
        await live.completed()
    events = live_events(live, 0, ping_seconds=serving.ping_seconds, tell_failure=tell_failure)
    return EventStream(events, reader_seconds=serving.reader_seconds)


async def _answer_later(request: Request, attempt: Attempt) -> Response:
    """Answer with the running turn once it is sure to run. Raises what RunElsewhere raises."""
    trace_id = facts_of(request.scope).trace_id
    serving = serving_of(request)
    if serving.parts.run_elsewhere is not None:
        await serving.parts.run_elsewhere(attempt)
    else:
        serving.live_turns.run(
            serving.parts.take_turn, attempt, lambda error: problems.report(error, trace_id)
        )
    return json_answer(
        turn_view(attempt.turn),
        ACCEPTED,
        Location=problems.turn_address(attempt.turn_id),
        Preference_Applied="respond-async",
    )
