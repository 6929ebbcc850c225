"""`python -m tests.bench`: measure, print the table, write it into docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.bench import control, output, report, resting, spawning
from tests.bench.session import Scenario, Session
from tests.bench.venvs import ROOT, BenchError, Cache

SCENARIOS: dict[str, tuple[Scenario, int]] = {
    "cold": (spawning.cold_start, 180),
    "start": (spawning.start, 600),
    "restart": (spawning.restart, 240),
    "stop": (spawning.stop, 420),
    "idle": (resting.idle, 240),
    "memory": (resting.footprint, 300),
    "status": (control.status, 180),
    "list": (control.listing, 240),
    "flood": (output.flood, 240),
    "flood-control": (output.control_in_flood, 240),
    "crash-loop": (control.crash_loop, 240),
    "crash-status": (control.status_in_crash_loop, 240),
}
"""What can be measured, and for how many seconds at most."""

PAGE = ROOT / "docs" / "performance.md"


def main() -> int:
    """Run the scenarios that were asked for; 0 if all of them could be measured."""
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    names = options.only or list(SCENARIOS)
    try:
        session = Session(Cache(options.cache), quick=options.quick)
        try:
            for name in names:
                scenario, limit = SCENARIOS[name]
                session.run(name, scenario, limit)
        finally:
            session.close()
    except BenchError as error:
        print(f"tests.bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tests.bench: interrupted", file=sys.stderr)
        return 130
    rows = report.table(session.metrics.values())
    print("\n".join((*report.machine(), "", report.as_text(rows))))
    if options.json:
        samples = {
            metric.name: {"unit": metric.unit, **{n: s.values for n, s in metric.series.items()}}
            for metric in session.metrics.values()
        }
        options.json.write_text(json.dumps({"machine": report.machine(), "samples": samples}))
    if options.write and not session.failed:
        report.write(PAGE, rows, "python -m tests.bench --write")
    for failure in session.failed:
        print(f"FAILED: {failure}", file=sys.stderr)
    return 1 if session.failed else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer samples, and no thousand programs")
    add("--only", action="append", choices=SCENARIOS, metavar="NAME",
        help=f"one of {', '.join(SCENARIOS)}; may be given several times")  # fmt: skip
    add("--write", action="store_true", help="put the table into docs/performance.md")
    add("--json", type=Path, metavar="FILE", help="keep every sample in this file")
    add("--cache", type=Path, default=_cache(), metavar="DIR",
        help="where the virtual environments stay (%(default)s)")  # fmt: skip
    options = parser.parse_args()
    if options.write and (options.quick or options.only):
        parser.error("--write wants all of it, measured in full")
    return options


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "supervisor-lite-bench"


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
