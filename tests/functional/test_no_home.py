"""Whoever has no home directory is told what to set, and gets no directory called `~`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import SLEEPER, program

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become anybody")

NOBODYS = 54321
"""A uid without an entry in passwd."""

WEB = program("web", SLEEPER, startsecs=0)


DAEMON = "supervisor_lite.daemon.main"
CLIENT = "supervisor_lite.ctl.main"
PROGRAM = f"""
import importlib, os, pkgutil, sys
import argparse, binascii, encodings.utf_8_sig, shutil, sqlite3, tomli, traceback, zlib
import supervisor_lite
for module in pkgutil.walk_packages(supervisor_lite.__path__, "supervisor_lite."):
    if not module.name.startswith("supervisor_lite.gateway") and "__main__" not in module.name:
        importlib.import_module(module.name)
main = importlib.import_module(sys.argv.pop(1)).main
os.setgroups([]); os.setgid({NOBODYS}); os.setuid({NOBODYS})
sys.exit(main(sys.argv[1:]))
"""
"""What that user may not read of this Python is loaded before: it may be in root's home."""


def run(
    directory: Path, *arguments: str, module: str = DAEMON, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one of ours in a directory as a user who has no entry in passwd."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("XDG")}
    env.pop("HOME", None)
    env["PYTHONPATH"] = os.getcwd()
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, module, *arguments], cwd=directory,
        env={**env, **environment}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory of that user's with a configuration in it."""
    path = Path(tempfile.mkdtemp(dir="/tmp", prefix="sl-"))
    os.chown(path, NOBODYS, NOBODYS)
    (path / "supervisor.toml").write_text(WEB)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "here"}])
def test_no_state_directory(place: Path, home: dict[str, str]) -> None:
    """The daemon says what to set, and any of it is enough."""
    for arguments in (["--check"], []):
        done = run(place, *arguments, **home)
        assert done.returncode == 2
        for word in ("supervisor.toml", "state_dir", "HOME", "XDG_STATE_HOME"):
            assert word in done.stderr
        assert "Traceback" not in done.stderr
    assert os.listdir(place) == ["supervisor.toml"]
    assert run(place, "--check", HOME=str(place)).returncode == 0
    assert run(place, "--check", XDG_STATE_HOME=str(place), **home).returncode == 0
    (place / "supervisor.toml").write_text(f'[daemon]\nstate_dir = "{place}"\n{WEB}')
    assert run(place, "--check", **home).returncode == 0


@pytest.mark.parametrize("key", ["state_dir", "logfile", "stdout_logfile", "include"])
def test_a_path_in_the_configuration(place: Path, key: str) -> None:
    """With file, line and key."""
    daemon = f'[daemon]\nstate_dir = "{place}"\n' if key != "state_dir" else "[daemon]\n"
    text = daemon + WEB
    if key == "stdout_logfile":
        text = daemon + program("web", SLEEPER, stdout_logfile="~/web.log")
    else:
        value = '["~/*.toml"]' if key == "include" else '"~/place"'
        text = daemon + f"{key} = {value}\n" + WEB
    (place / "supervisor.toml").write_text(text)
    done = run(place, "--check")
    assert done.returncode == 2
    assert "supervisor.toml:" in done.stderr
    assert key in done.stderr
    assert "set HOME" in done.stderr
    assert os.listdir(place) == ["supervisor.toml"]


def test_the_client(place: Path) -> None:
    """It needs no home to ask a daemon, nor to remember what was typed."""
    done = run(place, "status", module=CLIENT)
    assert "Traceback" not in done.stderr
    assert done.returncode == 4
    (place / "supervisor.toml").write_text(f'[daemon]\nsocket = "~/x.sock"\n{WEB}')
    done = run(place, "status", module=CLIENT)
    assert "Traceback" not in done.stderr
    assert "set HOME" in done.stderr
    assert done.returncode == 2
    assert os.listdir(place) == ["supervisor.toml"]
