"""docs/telemetry.md lists every span and metric, and no other; journeys have nothing else."""

from pathlib import Path

from prosa.adapters.opentelemetry.catalog import CONTENT, METRICS, SPANS
from prosa.settings import Settings
from tests.adapters.opentelemetry.seeing import STREAM, Seen, attributes_of, seen_app

PAGE = Path(__file__).parents[3] / "docs" / "telemetry.md"
ANY = {"error.type", *CONTENT}


def spans_table() -> str:
    """Write the table of spans as the page has it."""
    rows = [f"| `{it.name}` | {it.says} | {_listed(it.attributes)} |" for it in SPANS]
    return "\n".join(["| span | | attributes |", "|---|---|---|", *rows])


def metrics_table() -> str:
    """Write the table of metrics as the page has it."""
    rows = [
        f"| `{it.name}` | {it.kind}{f', `{it.unit}`' if it.unit else ''} | {it.says} "
        f"| {_listed(it.attributes)} |"
        for it in METRICS
    ]
    return "\n".join(["| metric | | | by |", "|---|---|---|---|", *rows])


def _listed(names: object) -> str:
    assert isinstance(names, tuple)
    return ", ".join(f"`{name}`" for name in names) or "–"


def test_the_page_lists_every_span_and_every_metric() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert spans_table() in page
    assert metrics_table() in page


async def test_a_span_has_no_other_attributes_than_the_list_says(
    settings: Settings, seen: Seen
) -> None:
    async with seen_app(settings, seen) as served:
        await served.say()
        await served.client.post("/v1/messages", json={"text": "Olá!"}, headers=STREAM)
        await served.app.relay_outbox()
    listed = {entry.name: set(entry.attributes) | ANY for entry in SPANS}
    for span in seen.spans:
        assert set(attributes_of(span)) <= listed[_entry(span.name)], span.name


def _entry(name: str) -> str:
    """Find a span's name in the list: what is particular stands in braces there."""
    for kind, listed in (("POST ", "POST {route}"), ("chat ", "chat {model}")):
        if name.startswith(kind):
            return listed
    return "publish {type}" if name.startswith("publish ") else name
