"""A loop in Python that does only what cannot be left out: the floor."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.bench.contenders.base import Contender, Program
from tests.bench.measure import BARE

_SCRIPT = Path(__file__).resolve().parents[1] / "bare.py"


class Bare(Contender):
    """A loop in Python that does only what cannot be left out; run by our own interpreter."""

    name = BARE
    has_client = False

    how = "popen"
    """`popen` is what a Python programmer writes, `spawn` the least that Python can do."""

    def configure(self, programs: Sequence[Program]) -> None:
        """See `Contender.configure`."""
        lines = ["\0".join(program.command) + "\n" for program in programs]
        (self.place.dir / "commands").write_text("".join(lines))
        self._asked = not all(program.autostart for program in programs)

    def command(self) -> list[str]:
        """See `Contender.command`."""
        line = [str(self.bin / "python"), "-I", str(_SCRIPT), self.how]
        return [*line, str(self.place.dir / "commands"), *(["asked"] if self._asked else [])]

    def launch(self) -> None:
        """See `Contender.launch`."""
        if not self._asked:
            super().launch()
            return
        pipe = subprocess.PIPE
        self.process = self.place.popen(self.command(), stdin=pipe, stdout=pipe)

    def wait_answer(self, limit: float = 60.0) -> None:
        """Wait until it could start."""
        if self._asked:
            assert self.process is not None
            assert self.process.stdout is not None
            self.process.stdout.readline()

    def start_all(self) -> None:
        """See `Contender.start_all`."""
        assert self.process is not None
        assert self.process.stdin is not None
        os.write(self.process.stdin.fileno(), b"\n")

    def remove(self) -> None:
        """See `Contender.remove`."""
        super().remove()
        if self.process is not None:
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()


def interpreter(bin_directory: Path) -> list[str]:
    """Return the command of a Python that does nothing: the floor of every client in Python."""
    return [str(bin_directory / "python"), "-I", "-c", "pass"]
