"""Configurations of Supervisor as they are found in the world, and what they become.

`python -m tests.migrate.samples` writes anew what is expected; read the difference.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from supervisor_lite.migrate.converter import Conversion, convert

SAMPLES = Path(__file__).with_name("samples")

NAMES = sorted(path.name for path in SAMPLES.iterdir() if path.is_dir())

ENVIRON = {"REGION": "eu"}
"""What %(ENV_X)s in the samples refers to."""


@contextmanager
def directory() -> Iterator[Path]:
    """Yield a directory whose path is always as long: lines are broken where they are too long."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="sl-") as place:
        Path(place).chmod(0o755)
        yield Path(place)


def lay_out(name: str, place: Path) -> Path:
    """Copy a sample to a directory, with the directories it needs; return its main file."""
    target = place / name
    shutil.copytree(SAMPLES / name, target, ignore=shutil.ignore_patterns("expected"))
    for needed in ("log", "run"):
        (target / needed).mkdir()
    return target / "supervisord.conf"


def converted(main: Path, out: Path) -> dict[str, str]:
    """Convert a sample; return its files, with "report", free of what differs every time."""
    found: Conversion = convert(str(main), str(out))
    texts = {**found.files, "report": "".join(f"{note}\n" for note in found.notes)}
    return {
        name: re.sub(r"scrypt\$[^\"]+", "HASH", text).replace(str(main.parent), "/etc/supervisor")
        for name, text in texts.items()
    }


def without_gateway(text: str) -> str:
    """Return a converted text without the server that the daemon would run beside the programs."""
    return re.sub(r"^\[\[?gateway[.\]].*?(?=^\[|\Z)", "", text, flags=re.MULTILINE | re.DOTALL)


def expected(name: str) -> dict[str, str]:
    """Return what `converted` should give for a sample."""
    place = SAMPLES / name / "expected"
    paths = sorted(path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): path.read_text() for path in paths}


def main() -> None:
    """Write what is expected."""
    for name in NAMES:
        with directory() as place:
            texts = converted(lay_out(name, place), place / "out")
        target = SAMPLES / name / "expected"
        shutil.rmtree(target, ignore_errors=True)
        for file, text in texts.items():
            path = target / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    main()
