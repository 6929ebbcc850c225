"""What every test may ask for."""

from __future__ import annotations

import compileall
import inspect
import signal
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from tests.client import ROOT
from tests.loops import run
from tests.rerun import EXIT_STATUS
from tests.support import Daemons

# How long an example takes says how busy the machine is, and nothing about the code.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes many processes or many seconds; still run")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has started us in the background; what tests start would ignore it, too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        # With PYTHONDONTWRITEBYTECODE each of more than a thousand daemons and clients would
        # compile the package again, which takes longer than all that they do.
        compileall.compile_dir(str(ROOT / "supervisor_lite"), quiet=2)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note how the run has ended, for tests/rerun.py."""
    cache = getattr(session.config, "cache", None)  # there is none with -p no:cacheprovider
    if cache is not None and not hasattr(session.config, "workerinput"):  # a worker knows its part
        cache.set(EXIT_STATUS, int(exitstatus))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one worker run the tests that share what is dear to make, and begin with those.

    That is a booted machine, or the walk over all records (tests/rules/walk.py).
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # for want of its types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file in ("tests/rules/test_walk.py", "tests/rules/test_diagram.py"):
                return "the walk over all records"
            return file if file.startswith("tests/systemd/") else nodeid

    return Scheduling(config, log)


@pytest.fixture
def daemons() -> Iterator[Daemons]:
    """Real daemons: `daemons(toml)` starts one, each is ended and inspected after the test."""
    made = Daemons()
    yield made
    made.close()
