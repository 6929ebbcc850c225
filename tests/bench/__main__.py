"""`python -m tests.bench`: measure, print the table, write it into docs/performance.md."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.bench import control, output, plots, recovery, report, resting, spawning
from tests.bench.contenders import PEERS
from tests.bench.session import Scenario, Session
from tests.bench.venvs import ROOT, BenchError, Cache

SCENARIOS: dict[str, tuple[Scenario, int]] = {
    "cold": (spawning.cold_start, 180),
    "start": (spawning.start, 300),
    "restart": (spawning.restart, 240),
    "stop": (spawning.stop, 300),
    "idle": (resting.idle, 240),
    "memory": (resting.footprint, 240),
    "status": (control.status, 180),
    "list": (control.listing, 180),
    "restart-command": (control.restart_command, 180),
    "flood": (output.flood, 240),
    "chatty": (output.chatty, 240),
    "adoption": (recovery.adoption, 180),
    "crash-loop": (control.crash_loop, 240),
    "crash-status": (control.status_in_crash_loop, 240),
    "flood-control": (output.control_in_flood, 240),
}
"""What can be measured, and for how many seconds at most."""

_LIMIT = 24 * 60.0
"""Seconds after which nothing more is measured: what has no samples then is said to have none."""

PAGE = ROOT / "docs" / "performance.md"

CONTENDERS = [kind.name for kind in PEERS]


def main() -> int:
    """Run the scenarios that were asked for; 0 if all of them could be measured."""
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    names = options.only or list(SCENARIOS)
    try:
        session = Session(
            Cache(options.cache), quick=options.quick, seconds=_LIMIT, only=options.contender
        )
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
    result = report.Report(list(session.metrics.values()), session.missing, session.failed)
    print(result.as_text())
    if options.json:
        samples = {
            metric.name: {"unit": metric.unit, **{n: s.values for n, s in metric.series.items()}}
            for metric in session.metrics.values()
        }
        options.json.write_text(json.dumps({"machine": report.machine(), "samples": samples}))
    if options.write:
        pictures = plots.draw(session.metrics, PAGE.parent)
        result.write(PAGE, "python -m tests.bench --write", pictures)
    return 1 if session.failed else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer samples, and no thousand programs")
    add("--only", action="append", choices=SCENARIOS, metavar="NAME",
        help=f"one of {', '.join(SCENARIOS)}; may be given several times")  # fmt: skip
    add("--contender", action="append", default=[], choices=CONTENDERS, metavar="NAME",
        help=f"beside us and bare Python, only this one of {', '.join(CONTENDERS)}; may be given"
        " several times")  # fmt: skip
    add("--write", action="store_true", help="put the table into docs/performance.md")
    add("--json", type=Path, metavar="FILE", help="keep every sample in this file")
    add("--cache", type=Path, default=Cache.usual(), metavar="DIR",
        help="where the virtual environments stay (%(default)s)")  # fmt: skip
    options = parser.parse_args()
    if options.write and (options.quick or options.only or options.contender):
        parser.error("--write wants all of it, measured in full")
    return options


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
