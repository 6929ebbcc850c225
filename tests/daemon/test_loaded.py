"""What the daemon loads: nothing that the configuration does not use and nobody has asked for."""

from __future__ import annotations

import pytest

from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, wait_until

NOT_OURS = {"bz2", "greenlet._greenlet", "hashlib", "ipaddress", "lzma", "psutil", "shutil", "_ssl",
            "urllib.parse", "zlib"}  # fmt: skip
"""What libraries bring along for something that a daemon does not do."""

LISTENER = '[eventlistener.ears]\ncommand = "cat"\nevents = ["TICK_5"]\n'


def _loaded(daemon: Daemon) -> set[str]:
    """Return the names of the modules that the daemon has imported so far."""
    lines = daemon.text("stderr").splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


@pytest.fixture
def small(daemons: Daemons) -> Daemon:
    """A daemon with one program, which tells what it imports."""
    web = program("web", SLEEPER, startsecs=0)
    return daemons(web, environment={"PYTHONPROFILEIMPORTTIME": "1"})


def test_nothing_of_libraries_is_loaded_that_is_not_used(small: Daemon) -> None:
    small.ctl("status")
    assert not _loaded(small) & NOT_OURS


@pytest.mark.parametrize("argument", ["why", "explain"])
def test_stories_are_loaded_when_somebody_asks(small: Daemon, argument: str) -> None:
    module = {"why": "explain.story", "explain": "explain.forecast"}[argument]
    assert "supervisor_lite.daemon.app" in _loaded(small)
    assert f"supervisor_lite.{module}" not in _loaded(small)
    small.ctl(argument, "web")
    wait_until(lambda: f"supervisor_lite.{module}" in _loaded(small), 10, "it is loaded")


def test_event_listeners_are_loaded_when_there_are_any(small: Daemon) -> None:
    module = "supervisor_lite.controllers.event_listeners.listeners"
    assert module not in _loaded(small)
    small.configure(program("web", SLEEPER, startsecs=0) + LISTENER)
    small.ctl("update")
    assert module in _loaded(small)
