"""Logs under trouble: a full disk, a reader that stalls, others that write to the same file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.functional.test_logs import fill
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, wait_until

CHATTY = sh(
    f"i=0; while :; do i=$((i+1)); echo line $i of many {'x' * 2000}; echo $i > count; done"
)


@contextmanager
def small_disk(place: Path, size: str = "256k") -> Iterator[None]:
    """Mount a file system that is soon full."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def count(daemon: Daemon) -> int:
    """Return how far the program has come."""
    text = (daemon.dir / "count").read_text().strip()
    return int(text) if text else 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_stops_no_program_and_what_is_lost_is_told(daemons: Daemons) -> None:
    daemon = daemons.prepare()
    place = daemon.dir / "small"
    with small_disk(place):
        fill(place / "filler")
        daemon.configure(
            program("web", CHATTY, stdout_logfile="%(here)s/small/web.log", directory="%(here)s")
            + program("quiet", SLEEPER, startsecs=0)
        )
        daemon.start()
        try:
            daemon.wait_state("web", "RUNNING")
            wait_until(
                lambda: daemon.status("web")["output_dropped"]["bytes"],
                limit=60,
                what="some is lost",
            )
            before = count(daemon)
            wait_until(lambda: count(daemon) > before + 100, what="the program goes on")
            row = daemon.status("web")
            trouble = row["output_trouble"]
            assert (trouble["stream"], trouble["dropping"]) == ("stdout", True)
            assert trouble["error"] == "No space left on device"
            assert "No space left on device" in row["reason"]
            shown = daemon.ctl("status", "web").stdout
            assert "RUNNING" in shown
            assert "No space left on device" in shown
            story = daemon.ctl("why", "web").stdout
            assert "No space left on device" in story
            assert "of its output were lost" in story
            assert daemon.status("quiet")["output_trouble"] is None
            (place / "filler").unlink()
            log = place / "web.log"
            wait_until(lambda: b"of output lost here" in log.read_bytes(), what="the mark")
            wait_until(lambda: "were lost" in daemon.ctl("why", "web").stdout)
        finally:
            daemon.ctl("shutdown", code=None)
            daemon.wait_exit()


def test_a_default_for_all_programs_and_a_change_without_a_restart(daemons: Daemons) -> None:
    both = program("web", SLEEPER, startsecs=0) + program(
        "audit", SLEEPER, startsecs=0, on_full="drop"
    )
    daemon = daemons(both, settings='on_full = "wait"')
    pids = daemon.wait_running("web", "audit")
    daemon.configure(both.replace('"drop"', '"wait"'))
    daemon.ctl("update")
    assert daemon.wait_running("web", "audit") == pids
    rows = daemon.call("definitions")["definitions"]
    assert [row["on_full"] for row in rows] == ["wait", "wait"]
