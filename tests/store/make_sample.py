"""Make the sample of a schema: `python -m tests.store.make_sample CHECKOUT`, as root.

Runs the daemon of a checkout with a program in every state, lets happen what can happen, is killed
and upgraded, asked what it knows, and killed again. The journal that it leaves becomes
`samples/schema-N.db.xz`, its answers `samples/schema-N.json.xz`.

That of schema 1 was made by commit 86b7e13: `git worktree add /tmp/old 86b7e13`.
"""

from __future__ import annotations

import json
import lzma
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.chaos.tools import kill, upgrade
from tests.programs import FORKER, SLEEPER, TERM_IGNORER, exits, program, sh
from tests.support import Daemon, alive, wait_until

SAMPLES = Path(__file__).parent / "samples"

DEAF = TERM_IGNORER
WHOLE = program(
    "whole", SLEEPER, startsecs=0, numprocs=2, process_name="%(program_name)s_%(process_num)d",
    directory="/", user="nobody", umask="027", environment={"COLOUR": "red"}, priority=5,
    exitcodes=[0, 3], startretries=5, stopsignal="INT", stopwaitsecs=3, stopasgroup=True,
    killasgroup=True, leftovers="keep", stdin="pipe", stdout_logfile="none",
    stderr_logfile="syslog", backoff="exponential", backoff_max="1m", backoff_jitter=0.5,
    restart_limit="5/10m", restart_limit_action="1m", serverurl="unix:///elsewhere",
    rlimits={"nofile": [64, 128], "core": "unlimited"}, nice=3,
    oom_score_adj=10, cpu_affinity=[0], no_new_privileges=True,
    env_file=["-%(here)s/missing.env"], credentials={"key": "%(here)s/key"},
    memory_restart="1GB", memory_check_interval=60,
)  # fmt: skip
PROGRAMS = (
    WHOLE
    + program("served", SLEEPER, startsecs=0, sockets=["unix://%(here)s/served.sock"])
    + program("piped", sh("exec cat"), startsecs=0.1, stdin="pipe")
    + program("failing", exits(4), backoff=10_000)
    + program("missing", "/nowhere/nothing", startretries=0)
    + program("given_up", exits(1), startretries=1, backoff=0.1)
    + program("done", exits(0), startsecs=0)
    + program("odd", exits(3), startsecs=0, autorestart=False)
    + program("limited", exits(5), startsecs=0, autorestart=True, restart_limit="2/1m")
    + program("cooling", exits(5), startsecs=0, autorestart=True, restart_limit="1/1m",
              restart_limit_action=10_000)
    + program("killed", SLEEPER, startsecs=0)
    + program("idle", SLEEPER, startsecs=0, autostart=False)
    + program("stopped", SLEEPER, startsecs=0)
    + program("deaf", DEAF, startsecs=0, stopwaitsecs=0.2)
    + program("tree", FORKER, startsecs=0, stopwaitsecs=1)
    + program("keeps", FORKER, startsecs=0, leftovers="keep", stopasgroup=False)
    + program("stopping", DEAF, startsecs=0, stopwaitsecs=10_000)
    + program("starting", SLEEPER, startsecs=10_000)
    + program("large", sh("x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 10000; :"),
              startsecs=0, memory_restart="8MB", memory_check_interval=2, autorestart=True)
    + program("leaves", SLEEPER, startsecs=0)
    + program("changes", SLEEPER, startsecs=0)
)  # fmt: skip
WITHOUT_LEAVES = PROGRAMS[: PROGRAMS.index("[program.leaves]")]
LISTENER = (
    "[eventlistener.ear]\ncommand = ['sh', '-c', 'echo READY; exec sleep 10000']\n"
    "events = ['PROCESS_STATE']\n\n"
)
LATER = program("changes", SLEEPER, startsecs=0, environment={"NEW": "1"}) + program(
    "comes", SLEEPER, startsecs=0
)


def happens(daemon: Daemon) -> None:
    """Let everything happen that leaves a trace in the journal."""
    wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 4)
    wait_until(lambda: len(daemon.pids_of("keeps", "sleep")) == 4)
    daemon.wait_state("deaf", "RUNNING")
    wait_until(lambda: "ready" in daemon.text("log/deaf.stdout.log"))
    wait_until(lambda: "ready" in daemon.text("log/stopping.stdout.log"))
    for name in ("stopped", "deaf", "tree", "keeps"):
        daemon.call("stop", names=[name])
    daemon.call("restart", names=["served"])
    os.kill(daemon.status("killed")["pid"], signal.SIGKILL)
    for name in ("missing", "given_up", "limited"):
        daemon.wait_state(name, "FATAL")
    for name in ("done", "odd", "cooling"):
        daemon.wait_state(name, "EXITED")
    daemon.wait_state("failing", "BACKOFF")
    daemon.call("stop", names=["stopping"], wait=False)
    daemon.configure(WITHOUT_LEAVES + LISTENER + LATER)
    daemon.call("update")
    wait_until(lambda: causes(daemon, "large", "memory"), 30)


def causes(daemon: Daemon, name: str, words: str) -> bool:
    """Has a cause of this process these words?"""
    changes = daemon.call("events", limit=1000)["changes"]
    return any(c["name"] == name and words in c["cause"] for c in changes)


def answers(daemon: Daemon) -> dict[str, Any]:
    """Return what the daemon says of everything."""
    status = daemon.call("status")["processes"]
    names = [process["fullname"] for process in status]
    return {
        "status": status,
        "events": daemon.call("events", limit=1000)["changes"],
        "runs": daemon.call("runs", limit=1000)["runs"],
        "why": {name: daemon.call("why", names=[name])["processes"][0]["lines"] for name in names},
    }


def main(checkout: str) -> None:
    """Make the sample."""
    daemon = Daemon(PROGRAMS + LISTENER, environment={"PYTHONPATH": checkout})
    try:
        (daemon.dir / "key").write_text("secret")
        daemon.start()
        happens(daemon)
        upgrade(daemon)
        ends_meanwhile = daemon.status("killed")["pid"]
        kill(daemon)
        os.kill(ends_meanwhile, signal.SIGKILL)
        wait_until(lambda: not alive(ends_meanwhile))
        daemon.configure(WITHOUT_LEAVES + LISTENER + LATER[: LATER.index("[program.comes]")])
        daemon.start()
        wait_until(lambda: daemon.status("killed")["pid"] not in (None, ends_meanwhile))
        said = answers(daemon)
        kill(daemon)
        copy = daemon.dir / "copy.db"
        with closing(sqlite3.connect(daemon.dir / "state/journal.db")) as database:
            (schema,) = database.execute("PRAGMA user_version").fetchone()
            database.execute("VACUUM INTO ?", (str(copy),))
        for kind, data in (("db", copy.read_bytes()), ("json", json.dumps(said).encode())):
            sample = SAMPLES / f"schema-{schema}.{kind}.xz"
            sample.write_bytes(lzma.compress(data, preset=9))
            print(sample, sample.stat().st_size)
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.signal(signal.SIGKILL)
            daemon.wait_exit()
        daemon.close()


if __name__ == "__main__":
    main(sys.argv[1])
