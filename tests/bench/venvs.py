"""What is measured, as a user has it: installed into environments, its bytecode compiled.

Everything lies below one directory and nothing is installed into the system.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PEER_PACKAGES = ("supervisor==4.3.0", "setuptools<81")
"""Supervisor imports pkg_resources, which later setuptools do not have any more."""

CIRCUS_PACKAGES = ("circus==0.19.0",)

_INSTALL_LIMIT = 300.0


class BenchError(Exception):
    """The benchmark cannot go on; the text says why."""


class Cache:
    """The directory in which the environments stay from run to run; one benchmark at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = (directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BenchError(f'another benchmark runs: it holds "{directory}/lock"') from None

    @staticmethod
    def usual() -> Path:
        """Return where the directory lies unless somebody wants another."""
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        return Path(base) / "supervisor-lite-bench"

    def lite(self) -> Path:
        """Return the bin directory of an environment with this checkout, installed."""
        return self._environment("lite", _fingerprint(), [str(ROOT)])

    def peer(self) -> Path:
        """Return the bin directory of an environment with Supervisor."""
        return self._environment("supervisor", " ".join(PEER_PACKAGES), list(PEER_PACKAGES))

    def circus(self) -> Path:
        """Return the bin directory of an environment with circus."""
        return self._environment("circus", " ".join(CIRCUS_PACKAGES), list(CIRCUS_PACKAGES))

    def debian(self, packages: Sequence[str]) -> Path:
        """Return the directory of the commands of Debian packages, unpacked but not installed."""
        place = self.directory / packages[0]
        stamp = place / "unpacked"
        wanted = " ".join(packages)
        if stamp.exists() and stamp.read_text() == wanted:
            return place / "usr/bin"
        print(f"unpacking {packages[0]} in {place} …", file=sys.stderr)
        shutil.rmtree(place, ignore_errors=True)
        files = place / "packages"
        files.mkdir(parents=True)
        _run(packages[0], ["apt-get", "download", "-qq", *packages], cwd=files)
        for file in sorted(files.glob("*.deb")):
            _run(packages[0], ["dpkg-deb", "-x", str(file), str(place)])
        stamp.write_text(wanted)
        return place / "usr/bin"

    def _environment(self, name: str, version: str, packages: list[str]) -> Path:
        place = self.directory / name
        stamp = place / "installed"
        wanted = f"{sys.version}\n{version}\n"
        if stamp.exists() and stamp.read_text() == wanted:
            return place / "bin"
        print(f"installing {name} in {place} …", file=sys.stderr)
        shutil.rmtree(place, ignore_errors=True)
        quiet = ("--quiet", "--disable-pip-version-check")
        for command in (
            [_base_python(), "-m", "venv", str(place)],
            [str(place / "bin/python"), "-m", "pip", "install", *quiet, *packages],
        ):
            _run(name, command)
        stamp.write_text(wanted)
        return place / "bin"


def _run(name: str, command: Sequence[str], cwd: Path | None = None) -> None:
    """Run one step of an installation; raises BenchError with what it said."""
    # Python's own options would keep bytecode from being compiled.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    try:
        done = subprocess.run(
            command, env=clean, check=False, timeout=_INSTALL_LIMIT, cwd=cwd,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise BenchError(f"cannot install {name}: {error}") from error
    if done.returncode:
        raise BenchError(f"cannot install {name}: {' '.join(command)}\n{done.stderr.strip()}")


def _base_python() -> str:
    """Return the interpreter that our own virtual environment was made from."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _fingerprint() -> str:
    """Return a digest of what would be installed."""
    digest = hashlib.sha256()
    for path in sorted([*(ROOT / "supervisor_lite").rglob("*.py"), ROOT / "pyproject.toml"]):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
