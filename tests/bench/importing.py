"""`python -m tests.bench.importing [PROGRAMS]`: how long `slctl import` takes for so many.

In one file, in one file per program, and two to a group; each result is loaded as `-o` does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.client import slctl_command

PROGRAM = """
[program:worker{0}]
command = /usr/bin/python3 -m app.worker --queue=q{0}
directory = /tmp
autorestart = true
stdout_logfile = {1}/worker{0}.log
redirect_stderr = true
environment = A="1",B="two words"
"""


def lay_out(place: Path, programs: int) -> dict[str, Path]:
    """Write the configurations; return them by what they are."""
    texts = [PROGRAM.format(number, place) for number in range(programs)]
    head = f"[supervisord]\nnodaemon = true\nlogfile = {place}/daemon.log\n"
    groups = [f"[group:g{n}]\nprograms = worker{n},worker{n + 1}\n" for n in range(0, programs, 2)]
    (place / "d").mkdir()
    for number, text in enumerate(texts):
        (place / f"d/{number}.conf").write_text(text)
    found = {
        "one file": head + "".join(texts),
        "groups of two": head + "".join(texts + groups),
        "a file each": f"{head}[include]\nfiles = d/*.conf\n",
    }
    for name, text in found.items():
        (place / f"{name}.conf").write_text(text)
    return {name: place / f"{name}.conf" for name in found}


def main() -> int:
    """Measure; print seconds."""
    programs = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for name, path in lay_out(place, programs).items():
            best = float("inf")
            for turn in range(3):
                out = str(place / f"out {name} {turn}")
                begun = time.perf_counter()
                subprocess.run(
                    [*slctl_command(), "import", str(path), "-o", out],
                    check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                best = min(best, time.perf_counter() - begun)
            print(f"{programs} programs, {name}: {best:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
