"""Supervisor itself, to compare with: installed once into an environment of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("supervisor==4.3.0", "setuptools<81")
"""Supervisor imports pkg_resources, which later setuptools do not have any more."""

LIMIT = 100.0
"""Seconds that the installation may take: fewer than a test may."""

_troubles: dict[str, str] = {}
"""Why an environment could not be made: it is not tried again for each test."""


def supervisor_bin() -> Path:
    """Return the directory with supervisord, supervisorctl and python; skip if there is none."""
    return installed("supervisor-4.3.0", PACKAGES, "Supervisor 4.3.0 cannot be installed")


def installed(name: str, packages: tuple[str, ...], trouble: str) -> Path:
    """Return the bin directory of an environment with these packages, made once per machine.

    Skips the test, saying `trouble` and its cause, if they cannot be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = "{}.{}.{}".format(*sys.version_info)
    place = cache / "supervisor-lite-tests" / f"{name}-python-{version}"
    stamp = place / "installed"
    if name in _troubles:
        pytest.skip(_troubles[name])
    try:
        place.mkdir(parents=True, exist_ok=True)
        with (place.parent / f"{place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
            if not stamp.exists():
                _install(place, packages)
                stamp.touch()
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or ""
        _troubles[name] = f"{trouble}: {error} {said[-500:]}"
        pytest.skip(_troubles[name])
    return place / "bin"


def _install(place: Path, packages: tuple[str, ...]) -> None:
    shutil.rmtree(place, ignore_errors=True)
    base = str(getattr(sys, "_base_executable", sys.executable))
    # What is set for our own Python is not meant for another one.
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--retries=2"]
    for command in (
        [base, "-m", "venv", str(place)],
        [*pip, "--disable-pip-version-check", *packages],
    ):
        subprocess.run(
            command, env=clean, check=True, timeout=LIMIT, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
