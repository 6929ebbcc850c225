"""The diagram and the table of docs/lifecycle.md, made from what the walk has seen.

`python -m tests.rules.diagram` writes them into docs/lifecycle.md and docs/states.dot; a test
compares. What is drawn is what `step` does, not what somebody thinks that it does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from supervisor_lite.model.events import Event
from supervisor_lite.model.states import State
from tests.rules.promises_of_records import OF_RECORDS
from tests.rules.promises_of_steps import OF_SPAWNS, OF_STEPS
from tests.rules.walk import Edge, walked

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "lifecycle.md"
DOT = DOCS / "states.dot"

DRAWN = ("defaults", "up at once", "one try, no patience", "limited, sliding")
"""Programs that together use every arrow (test_walk.py holds that against the known ways)."""

EVENTS = tuple(kind.__name__ for kind in Event.__args__)


def edges() -> frozenset[Edge]:
    """Return every kind of step."""
    return frozenset().union(*(walked(name).edges for name in DRAWN))


def arrows(seen: Iterable[Edge]) -> dict[tuple[State, State], list[str]]:
    """Return the changes of state, each with the events that bring it about."""
    found: defaultdict[tuple[State, State], set[str]] = defaultdict(set)
    for edge in seen:
        if edge.start is not edge.end:
            found[edge.start, edge.end].add(edge.event)
    return {ways: sorted(found[ways], key=EVENTS.index) for ways in sorted(found)}


def mermaid(seen: Iterable[Edge]) -> str:
    """Return the state diagram in Mermaid's language."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> STOPPED"]
    for (start, end), events in arrows(seen).items():
        lines.append(f"    {start.name} --> {end.name}: {', '.join(events)}")
    return "\n".join([*lines, "```"])


def dot(seen: Iterable[Edge]) -> str:
    """Return the state diagram in Graphviz's language."""
    lines = [
        "// Made by `python -m tests.rules.diagram`; `dot -Tsvg docs/states.dot` draws it.",
        "digraph states {",
        '    node [shape=box, style=rounded, fontname="sans-serif"];',
        '    edge [fontname="sans-serif", fontsize=10];',
    ]
    for (start, end), events in arrows(seen).items():
        label = "\\n".join(events)
        lines.append(f'    {start.name} -> {end.name} [label="{label}"];')
    return "\n".join([*lines, "}", ""])


def table(seen: frozenset[Edge]) -> str:
    """Return what each event may lead to in each state, with the actions."""
    head = "| state | " + " | ".join(f"`{event}`" for event in EVENTS) + " |"
    lines = [head, "|---" * (len(EVENTS) + 1) + "|"]
    for state in State:
        cells = [_cell(seen, state, event) for event in EVENTS]
        lines.append(f"| **{state.name}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(seen: frozenset[Edge], state: State, event: str) -> str:
    here = [edge for edge in seen if (edge.start, edge.event) == (state, event)]
    if not here:
        return " "
    results = {_result(edge) for edge in here if edge.changed or edge.actions}
    return "<br>".join(sorted(results)) or "·"


def _result(edge: Edge) -> str:
    end = "stays" if edge.end is edge.start else f"→ {edge.end.name}"
    return f"{end}, {', '.join(edge.actions)}" if edge.actions else end


def promises() -> str:
    """Return the invariants, as a list."""
    parts = (
        ("Of every record", OF_RECORDS),
        ("Of every step", OF_STEPS),
        ("Of every spawn", OF_SPAWNS),
    )
    lines: list[str] = []
    for title, rules in parts:
        lines += [f"*{title}*", ""]
        lines += [f"- {' '.join((rule.__doc__ or '').split())}" for rule in rules]
        lines.append("")
    return "\n".join(lines).strip()


def filled(page: str) -> str:
    """Return the page with its generated parts made anew."""
    seen = edges()
    parts = {"diagram": mermaid(seen), "table": table(seen), "promises": promises()}
    for name, text in parts.items():
        start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(page)) != 1:
            raise LookupError(f"{PAGE.name} has no single place for: {name}")
        fresh = f"{start}\n{text}\n{end}"
        page = pattern.sub(lambda _, fresh=fresh: fresh, page)  # type: ignore[misc]
    return page


def main() -> None:
    """Write the generated parts."""
    PAGE.write_text(filled(PAGE.read_text()))
    DOT.write_text(dot(edges()))


if __name__ == "__main__":
    main()
