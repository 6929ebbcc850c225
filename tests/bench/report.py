"""The table: on the terminal, and in docs/performance.md."""

from __future__ import annotations

import math
import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import GUESTS
from tests.bench.measure import LITE, PEER, Metric, Series, number
from tests.bench.venvs import PEER_PACKAGES, BenchError

BEGIN = "<!-- begin: written by python -m tests.bench --write -->"
END = "<!-- end: what follows is written by hand -->"

_GUESTS = frozenset(kind.name for kind in GUESTS)
_COLUMNS = (LITE, PEER, *(kind.name for kind in GUESTS))

_HEAD = ("metric", "unit", LITE, "others", "ratio", "goal", "met", "next")


def machine() -> list[str]:
    """Return what the figures depend on, a line each."""
    cpu = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    total = re.search(r"^MemTotal:\s*(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    memory = f"{int(total[1]) / 1e6:.0f} GB" if total else "unknown"
    return [
        f"date: {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC",
        f"machine: {os.cpu_count()} × {cpu[1] if cpu else platform.machine()}, {memory}",
        f"kernel: {platform.system()} {platform.release()}",
        f"Python: {platform.python_version()}, Supervisor: {PEER_PACKAGES[0].split('==')[1]}",
        f"load when it ended: {' '.join(_read('/proc/loadavg').split()[:3])}",
    ]


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has found, and what it could not find."""

    metrics: Sequence[Metric]
    missing: Mapping[str, str]
    """Contenders that were left out, and why."""
    failed: Sequence[str]

    def goals(self) -> list[list[str]]:
        """Return the table of our figures beside the floors and Supervisor."""
        return [list(_HEAD), *map(_goal_row, self.metrics)]

    def peers(self) -> list[list[str]]:
        """Return the table with a column for each supervisor; rows that several of them have."""
        rows = [["metric", "unit", *_COLUMNS]]
        for metric in self.metrics:
            if not _GUESTS.isdisjoint(metric.series):
                cells = [_short(metric.series.get(name)) for name in _COLUMNS]
                rows.append([metric.name, metric.unit, *cells])
        return rows

    def words(self) -> list[str]:
        """Return what is not in the tables: a line each."""
        said = [
            f"{name} was left out: {' '.join(why.split())}" for name, why in self.missing.items()
        ]
        return said + [f"failed: {' '.join(failure.split())[:300]}" for failure in self.failed]

    def as_text(self) -> str:
        """Return all of it for a terminal."""
        parts = [*machine(), "", _aligned(self.goals())]
        if len(peers := self.peers()) > 1:
            parts += ["", _aligned(peers)]
        return "\n".join((*parts, *self.words()))

    def write(self, path: Path, command: str, pictures: Mapping[str, str]) -> None:
        """Put it between the markers of a page; `pictures`: file names and what they show."""
        lines = [
            f"Made by `{command}`:",
            "",
            *(f"- {line}" for line in (*machine(), *self.words())),
        ]
        lines += ["", *markdown(self.goals()), "", _LEGEND, ""]
        lines += ["### Beside other supervisors", "", _PEERS, "", *markdown(self.peers())]
        for name, text in pictures.items():
            lines += ["", f"![{text}]({name})"]
        replace(path, BEGIN, END, lines)


def replace(path: Path, begin: str, end: str, lines: Sequence[str]) -> None:
    """Put lines between two markers of a page; what is around them stays.

    Raises BenchError if the page does not have both.
    """
    old = path.read_text()
    if begin not in old or end not in old.partition(begin)[2]:
        raise BenchError(f'cannot write "{path}": its markers are gone: {begin}')
    head, _, rest = old.partition(begin)
    tail = rest.partition(end)[2]
    path.write_text("\n".join((head + begin, "", *lines, "", end)) + tail)


def _goal_row(metric: Metric) -> list[str]:
    """Return one row of the first table."""
    others = [name for name in metric.series if name != LITE and name not in _GUESTS]
    goal = metric.goal
    beside = goal.beside if goal and goal.beside else (others[0] if others else "")
    ratio = metric.ratio(beside) if beside else math.nan
    met = metric.is_met()
    return [
        metric.name,
        metric.unit,
        _cell(metric.of(LITE)),
        ", ".join(f"{name} {_cell(metric.series[name])}" for name in others),
        "" if math.isnan(ratio) else f"{ratio:.2f} × {beside}",
        str(goal) if goal else "",
        "" if met is None else "yes" if met else "**no**",
        goal.later if goal else "",
    ]


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown(rows: list[list[str]]) -> list[str]:
    """Return a table, its first row the head."""
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in body]


_LEGEND = """\
A cell is the median (smallest … largest) of so many samples. The ratio is our median divided by
that of the one that is named; the goal is a bound on it, or on our median. *Next* is what is aimed
at after that. All contenders ran in turns within one run; bare Python is a loop of some twenty
lines (tests/bench/bare.py): `subprocess.Popen` for the start, `posix_spawn` and a pidfd for the
replacement, and for commands a Python that does nothing (`python -I -c pass`). Supervisor and we
capture both streams of every program, as both do by default. Sockets, pipes and the logs of quiet
programs are in /dev/shm, our journal and the log of the flood on disk. MB are 10⁶ bytes."""


_PEERS = """\
The same run, medians. circus, runit, s6 and daemontools were measured once or twice each, so a
difference below 1.5 × says nothing. Costs are those of all processes of a supervisor together:
runit, s6 and daemontools have one per program, whose memory PSS tells better than RSS. They and
circus capture output only in the rows about output, there with svlogd, s6-log, multilog and
FileStream; an empty cell is something that a supervisor does not do."""


def _short(series: Series | None) -> str:
    """Return the median alone."""
    if series is None:
        return ""
    if not series.values:
        return series.note or "–"
    return ", ".join(filter(None, (number(series.median), series.note)))


def _cell(series: Series) -> str:
    values = series.values
    if not values:
        return series.note or "–"
    text = number(series.median)
    if len(values) > 1:
        text += f" ({number(min(values))} … {number(max(values))}; {len(values)})"
    return f"{text}, {series.note}" if series.note else text


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
