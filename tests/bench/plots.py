"""Pictures of the table: SVG with nothing but rectangles and text, readable on light and dark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from tests.bench.measure import (
    BARE,
    CAT,
    CIRCUS,
    DAEMONTOOLS,
    LITE,
    PEER,
    RUNIT,
    S6_NAME,
    Metric,
    number,
)

_WIDTH = 760
_LEFT = 150
_RIGHT = 90
_BAR = 16
_GAP = 5
_TITLE = 34

_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .ours { fill: #1a7f5a } .other { fill: #8c959f }
@media (prefers-color-scheme: dark) {
text { fill: #d0d7de } .ours { fill: #3fb984 } .other { fill: #6e7681 }
}"""


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: a panel of bars for each of these metrics, as far as they were measured."""

    file: str
    text: str
    """What it shows, for those who do not see it."""
    metrics: tuple[str, ...]


PICTURES = (
    Picture(
        "performance-time.svg",
        "How long things take, per supervisor: shorter is better",
        (
            "start 1000: asked → last alive",
            "death → replacement, median",
            "stop 1000: asked → all gone",
            "status command, 1000 programs",
            "status command while 1000 programs crash-loop",
        ),
    ),
    Picture(
        "performance-cost.svg",
        "What a supervisor costs: shorter is better",
        (
            "PSS, 1000 programs",
            "idle, 1000 programs: CPU in 30 s",
            "crash loop: daemon CPU a restart",
            "50 children with 1 MB/s each: CPU",
            "flood: daemon CPU",
        ),
    ),
)


def draw(metrics: Mapping[str, Metric], directory: Path) -> dict[str, str]:
    """Write the pictures for which there is something; return file names and their texts."""
    drawn = {}
    for picture in PICTURES:
        panels = [metrics[name] for name in picture.metrics if name in metrics]
        panels = [metric for metric in panels if any(s.values for s in metric.series.values())]
        if panels:
            (directory / picture.file).write_text(svg(picture.text, panels))
            drawn[picture.file] = picture.text
    return drawn


def _rank(contender: str) -> int:
    """Return the place of a contender in every panel: we, the floors, the others."""
    order = (LITE, BARE, CAT, PEER, CIRCUS, RUNIT, S6_NAME, DAEMONTOOLS)
    return order.index(contender) if contender in order else len(order)


def svg(text: str, metrics: list[Metric]) -> str:
    """Return one picture: a panel under another, a bar per contender, each panel to its scale."""
    parts: list[str] = []
    y = 0
    for metric in metrics:
        y += _TITLE
        unit = f" ({metric.unit})" if metric.unit else ""
        parts.append(f'<text class="title" x="8" y="{y - 10}">{escape(metric.name + unit)}</text>')
        bars = {name: series.median for name, series in metric.series.items() if series.values}
        bars = {name: bars[name] for name in sorted(bars, key=_rank)}
        most = max(bars.values()) or 1.0
        for name, value in bars.items():
            width = max((_WIDTH - _LEFT - _RIGHT) * value / most, 1.0)
            kind = "ours" if name == LITE else "other"
            middle = y + _BAR - 4
            parts += [
                f'<text x="{_LEFT - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>',
                f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}"/>',
                f'<text x="{_LEFT + width + 6:.1f}" y="{middle}">{number(value)}</text>',
            ]
            y += _BAR + _GAP
    height = y + 10
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
            f' width="{_WIDTH}" height="{height}" role="img">',
            f"<title>{escape(text)}</title>",
            f"<style>{_STYLE}</style>",
            *parts,
            "</svg>\n",
        )
    )
