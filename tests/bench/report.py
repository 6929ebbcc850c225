"""The table: on the terminal, and in docs/performance.md."""

from __future__ import annotations

import math
import os
import platform
import re
import time
from collections.abc import Iterable
from pathlib import Path

from tests.bench.measure import LITE, Metric, Series
from tests.bench.venvs import PEER_PACKAGES, BenchError

BEGIN = "<!-- begin: written by python -m tests.bench --write -->"
END = "<!-- end: what follows is written by hand -->"

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


def table(metrics: Iterable[Metric]) -> list[list[str]]:
    """Return the rows of the table as text."""
    rows = []
    for metric in metrics:
        others = [name for name in metric.series if name != LITE]
        goal = metric.goal
        beside = goal.beside if goal and goal.beside else (others[0] if others else "")
        ratio = metric.ratio(beside) if beside else math.nan
        met = metric.is_met()
        rows.append(
            [
                metric.name,
                metric.unit,
                _cell(metric.of(LITE)),
                ", ".join(f"{name} {_cell(metric.series[name])}" for name in others),
                "" if math.isnan(ratio) else f"{ratio:.2f} × {beside}",
                str(goal) if goal else "",
                "" if met is None else "yes" if met else "**no**",
                goal.later if goal else "",
            ]
        )
    return rows


def as_text(rows: list[list[str]]) -> str:
    """Return the table aligned for a terminal."""
    everything = [list(_HEAD), *rows]
    widths = [max(len(row[column]) for row in everything) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in everything
    )


def write(path: Path, rows: list[list[str]], command: str) -> None:
    """Put the table between the markers of the page; what is written by hand stays."""
    old = path.read_text() if path.exists() else f"{_TITLE}\n\n{BEGIN}\n{END}\n"
    if BEGIN not in old or END not in old:
        raise BenchError(f'cannot write "{path}": its markers are gone')
    head, _, rest = old.partition(BEGIN)
    tail = rest.partition(END)[2]
    lines = [BEGIN, "", f"Made by `{command}`:", "", *(f"- {line}" for line in machine()), ""]
    lines += ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    path.write_text(head + "\n".join(lines) + f"\n\n{_LEGEND}\n\n{END}" + tail)


_TITLE = "# How it performs"

_LEGEND = """\
A cell is the median (smallest … largest) of so many samples. The ratio is our median divided by
that of the one that is named; the goal is a bound on it, or on our median. *Next* is what is aimed
at after that. All contenders ran in turns within one run; bare Python is a loop of some twenty
lines (tests/bench/bare.py): `subprocess.Popen` for the start, `posix_spawn` and a pidfd for the
replacement, and for commands a Python that does nothing (`python -I -c pass`). Supervisor and we
capture both streams of every program, as both do by default. Sockets, pipes and the logs of quiet
programs are in /dev/shm, our journal and the log of the flood on disk. MB are 10⁶ bytes."""


def _cell(series: Series) -> str:
    values = series.values
    if not values:
        return series.note or "–"
    text = _number(series.median)
    if len(values) > 1:
        text += f" ({_number(min(values))} … {_number(max(values))}; {len(values)})"
    return f"{text}, {series.note}" if series.note else text


def _number(value: float) -> str:
    """Return three digits that say something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{2 - math.floor(math.log10(abs(value)))}f}" if abs(value) < 100 else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
