"""What `slctl import` writes is what Supervisor itself would run: both are asked, both run it."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.config.load import load
from supervisor_lite.host.users import lookup
from supervisor_lite.migrate.converter import convert
from supervisor_lite.migrate.environment import environment
from supervisor_lite.migrate.report import KeyNotes, Notes
from supervisor_lite.migrate.values import ConvertContext, Refused
from supervisor_lite.model.program import Program
from supervisor_lite.model.sockets import ListenSocket
from tests.client import environment_of
from tests.migrate import samples
from tests.peer import supervisor_bin
from tests.support import Daemon, Daemons, wait_until

# the same definitions as Supervisor's own reading gives

DUMP = r"""
import json, sys
from supervisor.datatypes import Automatic, RestartUnconditionally, RestartWhenExitUnexpected
from supervisor.options import ServerOptions

def plain(value):
    if value is Automatic:
        return "auto"
    words = {RestartUnconditionally: "always", RestartWhenExitUnexpected: "unexpected"}
    return words.get(value, "never") if isinstance(value, type) else value

rows = []
options = ServerOptions()
options.realize(["-c", sys.argv[1]])
for group in options.process_group_configs:
    for process in group.process_configs:
        row = {name: plain(getattr(process, name)) for name in process.req_param_names}
        row.update(group=group.name, group_priority=group.priority, kind=type(process).__name__)
        row.update(environment=process.environment, serverurl=process.serverurl)
        socket = getattr(group, "socket_config", None)
        if socket is not None:
            row["socket"] = [socket.url, getattr(socket, "mode", None), socket.backlog]
        rows.append(row)
json.dump(rows, sys.stdout)
"""

SPLIT = r"""
import json, sys
from supervisor.datatypes import dict_of_key_value_pairs

def split(text):
    try:
        return dict_of_key_value_pairs(text)
    except ValueError:
        return None

json.dump([split(text) for text in json.load(sys.stdin)], sys.stdout)
"""

SPLIT_LOG = {"laravel": "laravel-worker"}
"""Programs whose processes wrote to one log."""


def ask_supervisor(script: str, *args: str, data: str = "") -> Any:
    done = subprocess.run(
        [str(supervisor_bin() / "python"), "-c", script, *args], timeout=60, check=True,
        input=data, capture_output=True, text=True,
        env={**os.environ, **samples.ENVIRON, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    return json.loads(done.stdout)


def facts_of(process: Program, priority: int) -> dict[str, Any]:
    """Return what Supervisor would know of a process."""
    facts: dict[str, Any] = {
        name: getattr(process, name)
        for name in (
            "name", "group", "directory", "umask", "priority", "autostart", "startsecs",
            "startretries", "stopwaitsecs", "stopasgroup", "killasgroup", "redirect_stderr",
            "serverurl",
        )
    }  # fmt: skip
    facts |= {
        "command": list(process.command), "environment": dict(process.environment),
        "autorestart": process.autorestart.value, "exitcodes": list(process.exitcodes),
        "stopsignal": signal.Signals[f"SIG{process.stopsignal}"], "group_priority": priority,
        "uid": None if process.user is None else lookup(process.user).uid,
    }  # fmt: skip
    for each in process.sockets:
        unix = each.listen.startswith("unix:")
        backlog = None if each.backlog == ListenSocket(listen="").backlog else each.backlog
        facts["socket"] = [each.listen, each.mode if unix else None, backlog]
    for stream, output in (("stdout", process.stdout), ("stderr", process.stderr)):
        facts[f"{stream}_logfile"] = output.path
        facts[f"{stream}_syslog"] = output.syslog
        if output.path is not None:
            facts[f"{stream}_logfile_maxbytes"] = output.maxbytes
            facts[f"{stream}_logfile_backups"] = output.backups
    return facts


@pytest.mark.timeout(420)
@pytest.mark.skipif(os.geteuid() != 0, reason="the samples change users")
@pytest.mark.parametrize("name", samples.NAMES)
def test_the_definitions_are_those_that_supervisor_reads(name: str, tmp_path: Path) -> None:
    """Every process, with every property, of every sample."""
    main = samples.lay_out(name, tmp_path)
    rows = ask_supervisor(DUMP, str(main))
    for file, text in convert(str(main), str(tmp_path / "out")).files.items():
        (tmp_path / "out" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / file).write_text(text)
    plan = load(str(tmp_path / "out/supervisor.toml"), {**os.environ, **samples.ENVIRON}).plan
    # The gateway, which the daemon runs by itself, is no definition.
    defined = [process for process in plan.processes() if not process.internal]
    ours = {p.fullname: facts_of(p, plan.groups[p.group].priority) for p in defined}
    wanted = {f"{row['group']}:{row['name']}".removeprefix(f"{row['name']}:"): row for row in rows}
    assert ours.keys() == wanted.keys()
    for fullname, facts in ours.items():
        row = wanted[fullname]
        row["command"] = shlex.split(row["command"])
        row["autorestart"] = row["autorestart"] or "never"
        if "socket" in row:
            row["socket"][0] = row["socket"][0].replace("//localhost:", "//127.0.0.1:")
        for stream in ("stdout", "stderr"):
            key = f"{stream}_logfile"
            if row[key] == "auto":
                assert facts[key].endswith(f"{fullname.replace(':', '.')}.{stream}.log")
            elif fullname.startswith(f"{SPLIT_LOG.get(name)}:"):
                assert os.path.dirname(facts[key] or row[key] or "") == os.path.dirname(
                    row[key] or ""
                )
            else:
                assert facts[key] == row[key], fullname
            del facts[key]
        differing = {key: (row[key], value) for key, value in facts.items() if row[key] != value}
        assert not differing, fullname


@pytest.mark.timeout(420)
def test_environments_are_split_as_supervisor_itself_does() -> None:
    """A thousand odd ones, all of them in one question."""
    chance = random.Random(43)
    pieces = ["A", "B2", "=", "=", ",", ",", '"', "'", " ", "#", "\\", "\n", "@", "x/y:z", "é", "-",
              '"q w"', "'it'", "A=1", ",C="]  # fmt: skip
    texts = [
        "A=" * chance.randrange(2) + "".join(chance.choices(pieces, k=chance.randrange(9)))
        for _ in range(1000)
    ]
    context = ConvertContext("/", "/", "/", frozenset(), KeyNotes(Notes(), "f", 1, "s"))

    def split(text: str) -> object:
        try:
            return environment(text, context)
        except Refused:
            return None

    theirs = ask_supervisor(SPLIT, data=json.dumps(texts))
    assert sum(bool(found) for found in theirs) > 50
    assert [split(text) for text in texts] == theirs


# the same processes as Supervisor runs

PROBE = r"""
import json, os, stat, sys, time
facts = {
    "argv": sys.argv[1:], "cwd": os.getcwd(), "umask": os.umask(0), "environ": dict(os.environ),
    "leader": os.getpgrp() == os.getpid(), "uid": os.getuid(), "groups": sorted(os.getgroups()),
    "stdin": stat.S_ISFIFO(os.fstat(0).st_mode),
}
with open(f"{os.environ['OUT']}/{os.environ['SUPERVISOR_PROCESS_NAME']}.facts", "a") as file:
    file.write(json.dumps(facts) + "\n")
print("out", flush=True)
print("err", file=sys.stderr, flush=True)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""

SITE = """
[unix_http_server]
file=%(ENV_OUT)s/supervisor.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
nodaemon=true
logfile=%(ENV_OUT)s/supervisord.log
pidfile=%(ENV_OUT)s/supervisord.pid
childlogdir=%(ENV_OUT)s
environment=COMMON="of the daemon",OVERRIDDEN=no,PERCENT="5%%%%"

[supervisorctl]
serverurl=unix://%(ENV_OUT)s/supervisor.sock

[include]
files=site.d/*.conf

[group:site]
programs=web,worker
priority=20
"""

PROGRAMS = """
[program:web]
command=@PROBE@ 1000 0 --port=80%(process_num)02d --of=%(numprocs)d %(ENV_OWN)s "%(ENV_COMMON)s"
numprocs=2
numprocs_start=3
process_name=%(group_name)s-%(program_name)s-%(process_num)d
directory=%(here)s
umask=027
environment=OWN="a b",
   QUOTED='say "hi",#1;x=y %%',
   OVERRIDDEN=yes, PATHS=/a/b:/c-d.e+f(g) , NUM="%(process_num)02d 100%%",UNI="größe"
stdout_logfile=%(ENV_OUT)s/%(program_name)s_%(process_num)d.log
redirect_stderr=true

[program:worker]
command=@PROBE@ 1000 0 "a b" 'c "d"' e\\ f %%x
   second-line "" ; a comment
environment=CUT=foo#bar

[program:done]
command=@PROBE@ 1.5 0
autorestart=unexpected

[program:expected]
command=@PROBE@ 0 7
startsecs=0
exitcodes=3,7

[program:once]
command=@PROBE@ 1.5 9
autorestart=false

[program:failing]
command=@PROBE@ 0 1
startsecs=3
startretries=1

[program:missing]
command=/nonexistent/program
startretries=0

[program:off]
command=@PROBE@ 1000 0
autostart=no

[program:none]
command=@PROBE@ 1000 0
numprocs=0

[program:reader]
command=cat

[program:family]
command=sh -c "sleep 100007 & exec @PROBE@ 1000 0"
stopwaitsecs=5
"""

STATES = {
    "site:site-web-3": "RUNNING", "site:site-web-4": "RUNNING", "site:worker": "RUNNING",
    "done": "EXITED", "expected": "EXITED", "once": "EXITED", "failing": "FATAL",
    "missing": "FATAL", "off": "STOPPED", "reader": "RUNNING", "family": "RUNNING",
}  # fmt: skip


class Peer(Daemon):
    """supervisord, started and looked at like our own daemon."""

    def command(self) -> list[str]:
        return [str(supervisor_bin() / "supervisord"), "-c", str(self.config)]

    def answers(self) -> bool:
        return self.ask("pid").returncode == 0

    def ask(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run supervisorctl."""
        return subprocess.run(
            [str(supervisor_bin() / "supervisorctl"), "-c", str(self.config), *args],
            env=environment_of("client", **self.environment), cwd=self.dir, timeout=60,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def states(self) -> dict[str, str]:
        lines = self.ask("status").stdout.splitlines()
        return {words[0]: words[1] for words in map(str.split, lines)}


@pytest.fixture
def peer() -> Iterator[Peer]:
    supervisor_bin()
    made = Peer(survivors=True)
    made.environment["OUT"] = str(made.dir)
    made.environment["PYTHONWARNINGS"] = "ignore"
    yield made
    made.close()


def facts_in(daemon: Daemon) -> dict[str, list[dict[str, Any]]]:
    """Return what the processes found out about themselves, one for each run."""
    found = {}
    for path in daemon.dir.glob("*.facts"):
        runs = [json.loads(line) for line in path.read_text().splitlines()]
        for run in runs:
            run["environ"] = {
                name: value.replace(str(daemon.dir), "/OUT")
                for name, value in run["environ"].items()
                if name not in ("SUPERVISOR_LITE_RUN", "SUPERVISOR_SERVER_URL")
            }
            run["cwd"] = run["cwd"].replace(str(daemon.dir), "/OUT")
        found[path.stem] = runs
    return found


@pytest.mark.timeout(420)
def test_both_daemons_run_the_same(daemons: Daemons, peer: Peer, tmp_path: Path) -> None:
    """Which programs, in which state, how often, with which arguments and surroundings."""
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    command = f"{sys.executable} {probe}"
    ours = daemons.prepare(environment={"PYTHONWARNINGS": "ignore"}, survivors=True)
    ours.environment["OUT"] = str(ours.dir)
    for daemon in (ours, peer):
        (daemon.dir / "site.d").mkdir()
        (daemon.dir / "site.d/programs.conf").write_text(PROGRAMS.replace("@PROBE@", command))
        (daemon.dir / "supervisord.conf").write_text(SITE)
    peer.config = peer.dir / "supervisord.conf"
    ours.config.unlink()
    ours.ctl("import", "supervisord.conf", "-o", ".")
    # Directories of its own, so that it disturbs no other daemon of this machine.
    own = "".join(f'{name}_dir = "%(here)s/{name}"\n' for name in ("runtime", "state"))
    text = samples.without_gateway(ours.config.read_text())
    assert text.count("[daemon]\n") == 1
    ours.config.write_text(text.replace("[daemon]\n", f"[daemon]\n{own}"))
    ours.socket = ours.dir / "runtime/supervisor.sock"
    for daemon in (peer, ours):
        daemon.start()
    for daemon in (peer, ours):
        wait_until(lambda daemon=daemon: daemon.states() == STATES, 30, f"{type(daemon)}")  # type: ignore[misc]
    theirs, mine = facts_in(peer), facts_in(ours)
    assert {name: len(runs) for name, runs in mine.items()} == {
        "site-web-3": 1, "site-web-4": 1, "worker": 1, "done": 1, "expected": 1, "once": 1,
        "failing": 2, "family": 1,
    }  # fmt: skip
    assert mine == theirs
    assert mine["site-web-4"][0]["environ"]["NUM"] == "04 100%"
    assert mine["worker"][0]["argv"][2:] == ["a b", 'c "d"', "e f", "%x", "second-line", ""]
    for daemon in (peer, ours):
        assert (daemon.dir / "web_3.log").read_text() == "out\nerr\n"
    # Stopped, both leave alone what a program has started.
    assert peer.ask("stop", "all").returncode == 0
    ours.ctl("stop", "all")
    stopped = {name: "STOPPED" for name, state in STATES.items() if state == "RUNNING"}
    for daemon in (peer, ours):
        assert daemon.states() == {**STATES, **stopped}
        left = [
            Path(f"/proc/{pid}/cmdline").read_bytes()
            for pid in daemon.marked("SUPERVISOR_ENABLED=1")
        ]
        assert left == [b"sleep\x00100007\x00"]
