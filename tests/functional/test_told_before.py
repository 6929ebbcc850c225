"""What will not work is told by check, reread and update, and by status and why when it has not."""

from __future__ import annotations

import subprocess
import sys

from tests.client import environment_of
from tests.programs import SLEEPER, exits, program
from tests.support import Daemon, Daemons, alive, wait_until

BACKGROUND = "import os; os.fork() and os._exit(0); os.setsid(); import time; time.sleep(100000)"

PROGRAMS = (
    program("assigned", "FOO=1 sleep 5", startretries=0)
    + program("windows", "%(here)s/windows.sh", startretries=0)
    + program("interpreter", "%(here)s/interpreter", startretries=0)
    + program("env", "%(here)s/env", startretries=0)
    + program("homeless", SLEEPER, directory="%(here)s/nowhere", startretries=0)
    + program("daemon", [sys.executable, "-c", BACKGROUND], startretries=0)
    + program("job", exits(0), startretries=1, backoff=0.1)
    + program("web", SLEEPER, startsecs=0)
)

FILES = {
    "windows.sh": "#!/bin/sh\r\nexit\r\n",
    "interpreter": "#!/no/such/python\n",
    "env": "#!/usr/bin/env python3\r\n",
}

SAID = {
    "assigned": 'cannot find the command "FOO=1": it is a variable, and no shell reads the '
    'command; write environment = { FOO = "…" }',
    "windows": 'its first line ends in CR LF, as on Windows, so that "/bin/sh\\r" is looked for; '
    "mend it with: sed -i",
    "interpreter": 'the interpreter "/no/such/python" of "',
    "homeless": "cannot enter the directory",
}


def line_of(daemon: Daemon, name: str, key: str) -> int:
    """Return the line of a key of a program in the file."""
    lines = daemon.config.read_text().splitlines()
    first = lines.index(f"[program.{name}]")
    return next(n for n, line in enumerate(lines, 1) if n > first and line.startswith(key))


def test_output_that_goes_nowhere_is_told(daemons: Daemons) -> None:
    """At a start that leaves the terminal, and to whoever asks the daemon afterwards."""
    daemon = daemons.prepare(program("web", SLEEPER, stdout_logfile="/dev/stdout"))
    assert daemon.ctl("check", str(daemon.config)).stderr == ""
    command = [sys.executable, "-m", "supervisor_lite", "-c", str(daemon.config), "--daemonize"]
    done = subprocess.run(
        command, cwd=daemon.dir, env=environment_of(str(daemon.dir)), capture_output=True,
        text=True, check=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    line = line_of(daemon, "web", "stdout_logfile")
    warning = f'warning: {daemon.config}:{line}: program.web.stdout_logfile: "/dev/stdout" is '
    assert f"supervisor-lite: {warning}" in done.stderr
    assert daemon.ctl("reread").stderr.startswith(warning)
    pid = daemon.call("version")["pid"]
    daemon.ctl("shutdown")
    wait_until(lambda: not alive(pid))


def test_what_will_not_work_is_told(daemons: Daemons) -> None:
    daemon = daemons.prepare(PROGRAMS)
    for name, text in FILES.items():
        (daemon.dir / name).write_text(text)
        (daemon.dir / name).chmod(0o755)
    # Before a start, without a daemon.
    done = daemon.ctl("check", str(daemon.config))
    assert done.stdout.startswith("ok: 8 processes")
    for name, text in SAID.items():
        key = "directory" if name == "homeless" else "command"
        place = f"{daemon.config}:{line_of(daemon, name, key)}: program.{name}.{key}: "
        assert any(
            line.startswith(f"warning: {place}") and text in line
            for line in done.stderr.splitlines()
        ), (place, done.stderr)
    assert 'so that "python3\\r" is looked for' in done.stderr
    assert "program.web" not in done.stderr
    # By the daemon that has read it.
    daemon.start()
    assert daemon.ctl("reread").stderr == done.stderr
    for name, text in SAID.items():
        assert text in daemon.wait_state(name, "FATAL")["reason"]
        assert text in daemon.ctl("status", name, code=3).stdout
        told = daemon.ctl("why", name).stdout
        assert text in told
        assert "hint:" not in told
        assert text[:23] in daemon.log()
    # By how they ended.
    daemon.wait_state("env", "FATAL")
    assert 'hint: cannot run "' in daemon.ctl("why", "env").stdout
    daemon.wait_state("job", "FATAL")
    assert "write startsecs = 0 for a job" in daemon.ctl("why", "job").stdout
    daemon.wait_state("daemon", "FATAL")
    assert "left others in the background" in daemon.ctl("why", "daemon").stdout
    (note,) = [
        note
        for change in daemon.events("daemon")
        for note in change.get("notes", [])
        if note["kind"].startswith("leftovers")
    ]
    assert note["processes"][0]["detached"] is True
