"""The programs of conf.d/, which `make run` starts."""

from __future__ import annotations

import re
import shutil
import urllib.request
from pathlib import Path

from tests.client import ROOT
from tests.support import Daemons, wait_until


def test_the_examples_run(daemons: Daemons) -> None:
    """The page is served, the workers work, the flaky one is brought back, the manual one waits."""
    daemon = daemons.prepare()
    home = daemon.dir / "checkout"
    shutil.copytree(ROOT / "conf.d", home / "conf.d")
    daemon.config = home / "conf.d"
    daemon.socket = home / ".run/supervisor.sock"
    daemon.start()
    for name in ("web", "ticker:ticker_0", "ticker:ticker_1"):
        daemon.wait_state(name, "RUNNING")
    page = wait_until(lambda: _address(home / ".run/log/web.stdout.log"))
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert str(daemon.status("web")["pid"]) in answer.read().decode()
    assert daemon.status("manual")["state"] == "STOPPED"
    daemon.ctl("start", "manual")
    assert "step 1 of 10" in daemon.ctl("tail", "manual").stdout
    daemon.ctl("stop", "manual")
    assert "stopped half-way" in daemon.ctl("tail", "manual").stdout
    wait_until(lambda: daemon.status("flaky")["restarts"] > 0, limit=30)
    assert "worker 1 has done job 1" in daemon.ctl("logs", "ticker").stdout


def _address(log: Path) -> str:
    found = re.search(r"serving (http\S+)", log.read_text() if log.exists() else "")
    return found[1] if found else ""
