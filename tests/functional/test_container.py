"""As PID 1 of a container: zombies, signals, output on stdout, and the exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.config.load import load
from supervisor_lite.errors import ConfigError
from tests.chaos.tools import edit, rows
from tests.programs import SLEEPER, TERM_IGNORER, exits, program, sh, stamper
from tests.support import Daemon, Daemons, children, comm, wait_until

UNSHARE = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child=SIGKILL"]
if os.geteuid() != 0:
    UNSHARE[1:1] = ["--user", "--map-root-user"]


def namespaces() -> bool:
    """Tell whether we may make a pid namespace."""
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, timeout=30).returncode == 0
    except FileNotFoundError:
        return False


in_namespace = pytest.mark.skipif(
    not namespaces(), reason="we may not make a pid namespace here (unshare --pid fails)"
)


class Container(Daemon):
    """A daemon that is PID 1 of a pid namespace, with a pipe as its stdout, as under Docker."""

    def __init__(self, programs: str = "", **options: Any) -> None:
        super().__init__(programs, **options)
        os.mkfifo(self.stdout)
        self._reader = os.open(self.stdout, os.O_RDONLY | os.O_NONBLOCK)
        self._said = b""

    def command(self) -> list[str]:
        """Return the command line of unshare, whose child is the daemon."""
        return [*UNSHARE, *super().command()]

    @property
    def pid(self) -> int:
        """The pid of the daemon, as it is seen from outside."""
        assert self.process is not None
        parent = self.process.pid
        (found,) = wait_until(lambda: children(parent), what="unshare has a child")
        return found

    def said(self) -> str:
        """Return what has come out of its stdout so far."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._reader, 65536):
                self._said += data
        return self._said.decode()

    def stop(self) -> int:
        """Do what `docker stop` does, and return the exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait_exit()

    def close(self) -> None:
        """See `Daemon.close`; unshare itself takes no signals."""
        with contextlib.suppress(ProcessLookupError):
            if self.process is not None and self.process.poll() is None:
                assert self.stop() == 0, self.log()[-3000:]
        os.close(self._reader)
        super().close()


class Containers(Daemons):
    """Makes containers for one test and ends them after it."""

    def prepare(self, programs: str = "", **options: Any) -> Container:
        """Return a container that is configured but not started."""
        made = Container(programs, **options)
        self._made.append(made)
        return made

    def __call__(self, programs: str = "", **options: Any) -> Container:
        """Return a container whose daemon answers."""
        made = self.prepare(programs, **options)
        made.start()
        return made


@pytest.fixture
def containers() -> Iterator[Containers]:
    made = Containers()
    yield made
    made.close()


def test_the_test_would_see_a_zombie() -> None:
    """What the next tests look for exists when nobody reaps."""
    with subprocess.Popen(["true"]) as child:
        # Not the only one: tests that ran before in this process may have left theirs.
        wait_until(lambda: child.pid in zombies(os.getpid()), what="a child that nobody reaped")
    assert child.pid not in zombies(os.getpid())


def zombies(parent: int) -> list[int]:
    """Return the dead children of a process that it has not reaped."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent and fields[0] == "Z":
                    found.append(int(entry.name))
    return found


@in_namespace
def test_pid_1_reaps_the_orphans_of_its_programs(containers: Containers) -> None:
    """A double-forked grandchild that ends is gone, and so is one whose parent has ended."""
    script = "(setsid sh -c 'echo $$ >>orphans' &); echo done; exec sleep 100000"
    container = containers(program("web", sh(script), directory="%(here)s", numprocs=1))
    assert Path(f"/proc/{container.pid}/status").read_text().split("NSpid:")[1].split()[1] == "1"
    orphan = container.dir / "orphans"
    wait_until(lambda: orphan.exists() and orphan.read_text(), what="the orphan has lived")
    wait_until(lambda: not zombies(container.pid), what="the orphan is reaped")
    assert container.status("web")["state"] in ("STARTING", "RUNNING")


@in_namespace
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter the namespace")
def test_pid_1_reaps_what_somebody_ran_in_its_container(containers: Containers) -> None:
    """`docker exec` brings in strangers; their orphans are PID 1's to reap."""
    container = containers(program("web", SLEEPER))
    entered = ["nsenter", "-t", str(container.pid), "-p", "-m", "-r"]
    stamp = container.dir / "stranger"
    script = f'(sh -c "sleep 0.1; echo gone >{stamp}" &)'
    subprocess.run([*entered, "sh", "-c", script], check=True, timeout=30)
    wait_until(stamp.exists, what="the stranger's orphan has ended")
    wait_until(lambda: not zombies(container.pid), what="it is reaped")
    assert len(children(container.pid)) == 1, "only the program is left"


@in_namespace
def test_docker_stop_stops_everything_in_order(containers: Containers) -> None:
    """Descending priority, one after the other; what ignores the signal is killed; exit 0."""
    programs = ""
    for name, priority in (("db", 1), ("app", 2), ("web", 3)):
        script = f"trap 'echo {name} >>order; exit 0' TERM; echo up; while :; do sleep 0.05; done"
        programs += program(name, sh(script), priority=priority, directory="%(here)s")
    programs += program("deaf", TERM_IGNORER, priority=4, stopwaitsecs=0.3)
    container = containers(programs)
    for name in ("db", "app", "web", "deaf"):
        container.wait_state(name, "RUNNING")
    assert container.stop() == 0
    assert container.text("order").split() == ["web", "app", "db"]
    assert container.marked() == []


@in_namespace
def test_a_stop_that_comes_too_early_is_not_lost(containers: Containers) -> None:
    """The kernel drops signals to a PID 1 that has no handler yet; ours makes them wait."""
    container = containers.prepare(program("web", SLEEPER))
    # Enough to read that there is a moment to be caught.
    many = {"numprocs": 800, "process_name": "%(process_num)d", "autostart": False}
    container.configure(program("web", SLEEPER) + program("many", SLEEPER, **many))
    container.launch()
    pid = container.pid
    wait_until(lambda: comm(pid).startswith("python"), what="unshare has become the daemon")
    end = time.monotonic() + 30
    while not keeps_term(pid):
        assert time.monotonic() < end, "SIGTERM never had to wait"
    os.kill(pid, signal.SIGTERM)
    assert container.wait_exit() == 0
    assert container.marked() == []


def keeps_term(pid: int) -> bool:
    """Tell whether SIGTERM has to wait, because the process has no handler for it yet."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    masks = dict(line.split(":") for line in lines if line.startswith("Sig"))
    bit = 1 << (signal.SIGTERM - 1)
    return bool(int(masks["SigBlk"], 16) & bit and not int(masks["SigCgt"], 16) & bit)


@in_namespace
def test_nothing_is_forwarded_by_accident(containers: Containers) -> None:
    """Signals to PID 1 that are not for it do not reach a program."""
    script = "trap 'echo heard >>heard' USR1 USR2 HUP; echo up; while :; do sleep 0.05; done"
    container = containers(program("web", sh(script), directory="%(here)s"))
    before = container.wait_state("web", "RUNNING")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGWINCH):
        os.kill(container.pid, number)
    wait_until(lambda: "nothing changed in the configuration" in container.log(), what="SIGHUP")
    assert container.status("web")["pid"] == before["pid"]
    # It hears them when they are meant for it.
    container.ctl("signal", "USR1", "web")
    wait_until(lambda: container.text("heard"), what="the program has heard")
    assert container.text("heard").split() == ["heard"]


@in_namespace
@pytest.mark.parametrize("prefix", [False, True])
def test_output_goes_to_the_containers_stdout(containers: Containers, prefix: bool) -> None:
    """Lines stay whole; with output_prefix they say whose they are, and from which stream."""
    to = {"stdout_logfile": "/dev/stdout", "stderr_logfile": "/dev/stdout"}
    container = containers(
        program("web", sh("echo hello; echo oops >&2; exec sleep 100000"), **to)
        + program("job", sh("echo done"), startsecs=0, autorestart=False, **to),
        settings=f"output_prefix = {str(prefix).lower()}",
    )
    wanted = {"hello", "oops", "done"}
    if prefix:
        wanted = {"web | hello", "web ! oops", "job | done"}
    wait_until(lambda: wanted <= set(container.said().splitlines()), what=f"{wanted} is there")
    assert container.stop() == 0
    assert set(container.said().splitlines()) == wanted


# Started again.


@in_namespace
@pytest.mark.parametrize("how", ["stop", "cut", "kill"])
def test_a_container_that_is_started_again_starts_everything(
    containers: Containers, how: str
) -> None:
    """Its namespace may have the number of the last one, on the same boot: the journal is stale.

    Jobs, what was FATAL, and what an operator had stopped start as the configuration says.
    """
    container = containers(
        program("web", TERM_IGNORER, startsecs=0, stopwaitsecs=100)
        + program("job", stamper("job", "exit 0"), startsecs=0, autorestart=False)
        + program(
            "fatal", stamper("fatal", "exit 3"), startretries=0, startsecs=100, autorestart=False
        )
        + program("stopped", SLEEPER, startsecs=0)
    )
    for times in range(1, 4):
        container.wait_running("web", "stopped")
        container.wait_state("job", "EXITED")
        container.wait_state("fatal", "FATAL")
        container.ctl("stop", "stopped")
        assert [len(container.stamps(name)) for name in ("job", "fatal")] == [times] * 2
        if how != "kill":
            os.kill(container.pid, signal.SIGTERM)
            container.wait_state("web", "STOPPING")
        if how == "stop":
            os.kill(container.pid, signal.SIGTERM)  # kills what is left
        else:
            os.kill(container.pid, signal.SIGKILL)
        container.wait_exit()
        same_number(container)
        container.start()
    container.wait_running("web", "stopped")
    assert "taken over" not in " ".join(event["cause"] for event in container.events("web"))
    if how != "stop":
        ends = container.call("runs", names=["web"])["runs"]
        assert "machine_restarted" in str(ends), ends
    os.kill(container.pid, signal.SIGTERM)
    container.wait_state("web", "STOPPING")
    os.kill(container.pid, signal.SIGTERM)
    assert container.wait_exit() == 0


def same_number(container: Container) -> None:
    """Have the journal not tell the number of the last namespace: the next one may have the same.

    Nobody can choose it.
    """
    for row in rows(container, "SELECT value FROM meta WHERE key = 'world'"):
        boot, _, began = row["value"].split(" ")
        assert int(began) > 0
        edit(container, "UPDATE meta SET value = ? WHERE key = 'world'", f"{boot} 0 {began}")


@in_namespace
def test_pid_1_that_is_upgraded_in_place_is_where_it_was(containers: Containers) -> None:
    container = containers(program("web", SLEEPER, startsecs=0) + program("job", exits(0), **JOB))
    before = container.wait_running("web")
    container.wait_state("job", "EXITED")
    container.ctl("upgrade")
    wait_until(lambda: "upgraded" in container.log(), what="the new version is there")
    assert container.wait_running("web") == before
    assert container.status("job")["state"] == "EXITED"


def test_the_configuration_of_the_image_is_right() -> None:
    """What packaging/container ships, and what docs/containers.md shows."""
    root = Path(__file__).parents[2]
    file = root / "packaging/container/supervisor.toml"
    settings = load(str(file)).settings
    assert (settings.exit_when, settings.output_prefix) == ("any-fatal", True)
    shown = (root / "docs/containers.md").read_text().partition("```toml\n")[2].partition("```")[0]
    assert shown.strip() == file.read_text().partition("\n\n")[2].strip()


# exit_when

QUIET = {"startretries": 0, "autorestart": False}

FATAL = [
    pytest.param(exits(3), 3, id="its exit code"),
    pytest.param(sh("kill -KILL $$"), 137, id="128 and the signal"),
    pytest.param(sh("kill -TERM $$"), 143, id="the same for TERM"),
    pytest.param(["/nowhere/at/all"], 127, id="127 if it cannot be started"),
    pytest.param(exits(0), 1, id="1 if it was too short, though it said 0"),
]


@pytest.mark.parametrize(("command", "code"), FATAL)
def test_any_fatal_ends_the_daemon(daemons: Daemons, command: list[str], code: int) -> None:
    """Everything else is stopped; the exit code is that of the program."""
    daemon = daemons.prepare(
        program("web", command, **QUIET) + program("other", SLEEPER),
        settings='exit_when = "any-fatal"',
    )
    daemon.launch()
    assert daemon.wait_exit() == code
    assert daemon.marked() == []
    assert "other: STOPPING -> STOPPED" in daemon.log()


def test_without_exit_when_nothing_ends_the_daemon(daemons: Daemons) -> None:
    """It goes on although everything is FATAL."""
    daemon = daemons(program("web", exits(3), **QUIET))
    daemon.wait_state("web", "FATAL")
    assert daemon.status("web")["exitcode"] == 3


JOB = {"startsecs": 0, "autorestart": False}

ALL = [
    pytest.param(exits(0), exits(0), 0, id="all well"),
    pytest.param(exits(0), exits(5), 5, id="the one that is not 0"),
    pytest.param(exits(4), sh("sleep 0.3; exit 5"), 4, id="the first that is not 0"),
]


@pytest.mark.parametrize(("one", "two", "code"), ALL)
def test_all_exited_ends_the_daemon(
    daemons: Daemons, one: list[str], two: list[str], code: int
) -> None:
    """When the last has ended; what was never started is not waited for."""
    daemon = daemons.prepare(
        program("one", one, **JOB)
        + program("two", two, **JOB)
        + program("never", SLEEPER, autostart=False),
        settings='exit_when = "all-exited"',
    )
    daemon.launch()
    assert daemon.wait_exit() == code


def test_a_stop_by_an_operator_ends_no_daemon(daemons: Daemons) -> None:
    """Nothing runs any more, but somebody wanted that; the next end counts again."""
    daemon = daemons(
        program("job", exits(0), **JOB) + program("web", SLEEPER, startsecs=0),
        settings='exit_when = "all-exited"',
    )
    daemon.wait_state("job", "EXITED")
    daemon.ctl("stop", "web")
    daemon.ctl("restart", "web")
    daemon.ctl("stop", "all")
    assert daemon.states() == {"job": "EXITED", "web": "STOPPED"}
    daemon.ctl("start", "job")
    assert daemon.wait_exit() == 0


def test_a_named_program_ends_the_daemon(daemons: Daemons) -> None:
    """With all of its processes; others may come and go. What still runs is stopped in order."""
    stops = "trap 'echo {0} >>order; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    web = sh("while [ ! -e end%(process_num)d ]; do sleep 0.02; done; exit 7%(process_num)d")
    daemon = daemons(
        program("web", web, numprocs=2, process_name="web%(process_num)d", **JOB,
                directory="%(here)s")
        + program("job", exits(9), **JOB)
        + program("db", sh(stops.format("db")), priority=1, directory="%(here)s")
        + program("app", sh(stops.format("app")), priority=2, directory="%(here)s"),
        settings='exit_when = "program:web"',
    )  # fmt: skip
    daemon.wait_state("job", "EXITED")
    daemon.wait_state("app", "RUNNING")
    daemon.wait_state("db", "RUNNING")
    (daemon.dir / "end1").touch()
    daemon.wait_state("web:web1", "EXITED")
    (daemon.dir / "end0").touch()
    assert daemon.wait_exit() == 71, "web1 was the first"
    assert daemon.text("order").split() == ["app", "db"]
    assert "exit_when program:web" in daemon.log()


def test_a_respawn_is_no_end(daemons: Daemons) -> None:
    """Only what nothing brings back has ended for good."""
    script = "[ -e again ] && exit 0; touch again; exit 6"
    daemon = daemons.prepare(
        program("web", sh(script), startsecs=0, directory="%(here)s"),
        settings='exit_when = "program:web"',
    )
    daemon.launch()
    assert daemon.wait_exit() == 0
    assert daemon.log().count("web: STARTING -> RUNNING") == 2


def test_what_ended_while_no_daemon_was_there_counts(daemons: Daemons) -> None:
    """The next daemon finds it, and ends as the last one would have."""
    daemon = daemons(program("web", SLEEPER, **JOB), settings='exit_when = "all-exited"')
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    daemon.signal(signal.SIGKILL)
    daemon.wait_exit()
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: daemon.marked() == [], what="the program is gone")
    daemon.launch()
    assert daemon.wait_exit() in (1, 143), "whether somebody can tell is up to its new parent"


def test_a_signal_to_the_daemon_is_an_orderly_end(daemons: Daemons) -> None:
    """SIGTERM is no failure of a program, also when that ends with a code because of it."""
    script = "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"
    daemon = daemons(program("web", sh(script)), settings='exit_when = "any-fatal"')
    daemon.wait_state("web", "RUNNING")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("any-fatl", 'did you mean "any-fatal"?'),
        ("program:", "name a program"),
        ("program:wbe", 'there is no program "wbe", did you mean "web"?'),
        ("never", '"any-fatal", "all-exited" or "program:NAME"'),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(
    tmp_path: Path, value: str, complaint: str
) -> None:
    """Before anything starts, with the line and what was meant."""
    file = tmp_path / "supervisor.toml"
    file.write_text(f'[daemon]\nexit_when = "{value}"\n' + program("web", SLEEPER))
    with pytest.raises(ConfigError) as caught:
        load(str(file))
    (said,) = map(str, caught.value.diagnostics)
    assert said.startswith(f"{file}:2: daemon.exit_when: ")
    assert complaint in said
