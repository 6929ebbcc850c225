"""superlance, the event listeners that most users of Supervisor run: installed once per machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("superlance==2.0.0", "supervisor==4.3.0", "setuptools<81")
"""They import the supervisor package, and that imports pkg_resources."""

LIMIT = 300.0
"""Seconds that the installation may take."""


def superlance_bin() -> Path:
    """Return the directory with memmon, httpok and the others; skips the test if there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = "{}.{}.{}".format(*sys.version_info)
    place = cache / "supervisor-lite-tests" / f"superlance-python-{version}"
    stamp = place / "installed"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with (place.parent / f"{place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
            if not stamp.exists():
                _install(place)
                stamp.touch()
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or ""
        pytest.skip(f"superlance cannot be installed: {error} {said[-500:]}")
    return place / "bin"


def _install(place: Path) -> None:
    shutil.rmtree(place)
    base = str(getattr(sys, "_base_executable", sys.executable))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet"]
    for command in (
        [base, "-m", "venv", str(place)],
        [*pip, "--disable-pip-version-check", *PACKAGES],
    ):
        subprocess.run(
            command, env=clean, check=True, timeout=LIMIT, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
