"""Writes what runs came to: a page of plain HTML, and a drawing for each run (SVG)."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.load.runs import Run

WIDTH, HEIGHT = 720, 150
LEFT, TOP, GAP = 64, 26, 46
COLOURS = ("#1f6feb", "#d4691e", "#2b8a3e", "#8250df")

Points = Sequence[tuple[float, float]]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
td, th { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: right }
td:first-child, th:first-child { text-align: left }
img { width: 100%; background: #fff; border: 1px solid #ddd; margin: .4rem 0 1.4rem }
.bad { color: #b00020 }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart with a line for each name, from nought to the highest point."""

    title: str
    lines: Mapping[str, Points]

    def drawn(self, top: int) -> str:
        """Draw it, its upper edge at `top`."""
        points = [point for line in self.lines.values() for point in line]
        right = max((x for x, _ in points), default=1.0) or 1.0
        high = max((y for _, y in points), default=1.0) or 1.0
        bottom = top + HEIGHT
        parts = [
            _text(LEFT, top - 8, self.title),
            f'<path d="M{LEFT} {top}V{bottom}H{WIDTH - 8}" fill="none" stroke="#888"/>',
            _text(LEFT - 6, top + 10, f"{high:,.0f}", anchor="end"),
            _text(LEFT - 6, bottom, "0", anchor="end"),
            _text(WIDTH - 8, bottom + 14, f"{right:,.0f} s", anchor="end"),
        ]
        for number, (name, line) in enumerate(self.lines.items()):
            colour = COLOURS[number % len(COLOURS)]
            path = " ".join(
                f"{LEFT + x / right * (WIDTH - LEFT - 8):.1f},{bottom - y / high * HEIGHT:.1f}"
                for x, y in line
            )
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
            )
            parts.append(_text(LEFT + 8 + 150 * number, bottom + 14, name, colour=colour))
        return "\n".join(parts)


def _text(
    x: int,
    y: int,
    said: str,
    weight: str = "normal",
    *,
    anchor: str = "start",
    colour: str = "#333",
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}">'
        f"{html.escape(said)}</text>"
    )


def write(runs: Sequence[Run], folder: Path) -> Path:
    """Write the page and its drawings; give the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in runs:
        (folder / drawing_of(run)).write_text(drawing(charts(run)), encoding="utf-8")
    page = folder / "index.html"
    page.write_text(page_of(runs), encoding="utf-8")
    return page


def drawing_of(run: Run) -> str:
    """Name the file of a run's drawing."""
    return f"{run.profile}-{run.database}.svg"


def charts(run: Run) -> list[Chart]:
    """Say what is drawn of a run."""
    moments = [(sample.at - run.samples[0].at, sample) for sample in run.samples]
    memory = {
        f"process {number + 1}": [
            (at, sample.megabytes[number])
            for at, sample in moments
            if number < len(sample.megabytes)
        ]
        for number in range(len(run.before.megabytes))
    }
    held = {
        "threads": [(at, float(sample.threads)) for at, sample in moments],
        "open files": [(at, float(sample.files)) for at, sample in moments],
        "connections": [(at, float(sample.connections)) for at, sample in moments],
    }
    median = [(float(second.at), second.median) for second in run.seconds]
    p95 = [(float(second.at), second.p95) for second in run.seconds]
    requests = [(float(second.at), float(second.requests)) for second in run.seconds]
    return [
        Chart(title="requests a second", lines={"requests": requests}),
        Chart(title="time to answer, ms", lines={"median": median, "p95": p95}),
        Chart(title="resident memory, MB", lines=memory),
        Chart(title="threads, files, connections", lines=held),
    ]


def drawing(found: Sequence[Chart]) -> str:
    """Draw charts, one under the other."""
    height = TOP + len(found) * (HEIGHT + GAP)
    drawn = "\n".join(
        chart.drawn(TOP + number * (HEIGHT + GAP)) for number, chart in enumerate(found)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n{drawn}\n</svg>\n'
    )


def page_of(runs: Sequence[Run]) -> str:
    """Write the page."""
    rows = "\n".join(row(run) for run in runs)
    parts = "\n".join(part(run) for run in runs)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        "<title>Prosa under load</title>\n"
        f"<style>{STYLE}</style>\n<h1>Prosa under load</h1>\n"
        "<table>\n<tr><th>run</th><th>requests/s</th><th>messages, median</th><th>p95</th>"
        f"<th>memory, MB a minute</th><th></th></tr>\n{rows}\n</table>\n{parts}\n</html>\n"
    )


def row(run: Run) -> str:
    """Write a run's row of the table."""
    message = run.summary["http_req_duration{name:message}"]
    verdict = '<span class="bad">not well</span>' if run.faults else "well"
    figures = (
        f"{run.profile}, {run.database}",
        f"{run.rate:,.0f}",
        f"{message['med']:,.0f} ms",
        f"{message['p(95)']:,.0f} ms",
        f"{run.growth:+.2f}",
        verdict,
    )
    return f"<tr>{''.join(f'<td>{figure}</td>' for figure in figures)}</tr>"


def part(run: Run) -> str:
    """Write a run's part of the page."""
    faults = "".join(f'<p class="bad">{html.escape(fault)}</p>' for fault in run.faults)
    title = f"{run.profile}, {run.database}"
    return f'<h2>{title}</h2>{faults}\n<img src="{drawing_of(run)}" alt="{title}: four charts">'
