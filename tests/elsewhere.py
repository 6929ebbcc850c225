"""A Python with the package that every user of the machine can run, wherever our own lies."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client import ROOT

NEEDED = ("psutil", "tomli", "structlog")
"""What the daemon imports besides the standard library: pure, or with an ABI of any version."""

PYTHONS = (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")


def python_for(uid: int) -> str:
    """Return a Python that this user can run; skip the test if there is none."""
    test = "import sys, asyncio, sqlite3, ssl; sys.exit(sys.version_info < (3, 11))"
    for python in PYTHONS:
        command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", python]
        try:
            done = subprocess.run(
                [*command, "-I", "-c", test], cwd="/", stdin=subprocess.DEVNULL,
                capture_output=True, timeout=30,
            )  # fmt: skip
        except FileNotFoundError:
            pytest.skip("setpriv is not installed (Debian: util-linux)")
        if done.returncode == 0:
            return python
    pytest.skip(f"none of {', '.join(PYTHONS)} is a Python >= 3.11 that uid {uid} can run")


def copy_packages(place: Path) -> None:
    """Copy our package and those that it needs to where everybody can read them."""
    sources = [ROOT / "supervisor_lite"]
    for name in NEEDED:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        sources.append(Path(spec.origin).parent)
    for source in sources:
        shutil.copytree(source, place / source.name, ignore=shutil.ignore_patterns("tests"))
    for path in [place, *place.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
