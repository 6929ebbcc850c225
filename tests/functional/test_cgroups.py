"""A cgroup per run: nobody gets out of it, and it is gone when nobody is in it any more."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.host import cgroup
from supervisor_lite.host.delegation import locate, look
from tests.chaos.tools import crash, edit, kill, kill_process, no_zombies, upgrade
from tests.functional.test_belonging import runs, threaded
from tests.functional.test_replaced_masters import begin as begin_master
from tests.functional.test_replaced_masters import renewed
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, alive, wait_until

NOTE = "echo $$ >>%(here)s/%(program_name)s.members; exec sleep 100000"
GONE = f"(env -i PATH=$PATH setsid sh -c '{NOTE}' <&- >&- 2>&- &)"
"""No parent, no session, no identity, no output: only the cgroup tells whose it is."""


@pytest.fixture
def group() -> Iterator[Path]:
    """A fresh cgroup, in which everyone ends with the test."""
    mount, _ = locate(look())
    if mount is None:
        pytest.skip("there is no cgroup2 hierarchy")
    place = Path(mount) / f"sl-test-{os.getpid()}-{os.urandom(3).hex()}"
    try:
        place.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error.strerror}")
    if not os.access(f"{mount}/cgroup.procs", os.W_OK):
        place.rmdir()
        pytest.skip("only root can put a process into another cgroup")
    yield place
    cgroup.kill(str(place))
    wait_until(lambda: _removed(place), what="the cgroup of the test is empty")


@pytest.fixture
def daemons(group: Path) -> Iterator[Daemons]:
    """Real daemons, which end before their cgroup does."""
    made = Daemons()
    yield made
    made.close()


def _removed(place: Path) -> bool:
    for path, _, _ in os.walk(place, topdown=False):
        with contextlib.suppress(OSError):
            Path(path).rmdir()
    return not place.exists()


def groups(place: Path) -> list[Path]:
    """Return the cgroups of runs below one."""
    return sorted(place.glob("supervisor-lite-*/run-*"))


def in_group(place: Path) -> str:
    """Return the settings of a daemon whose runs have cgroups there."""
    return f'cgroups = "{place}"'


def members(daemon: Daemon, name: str, count: int = 1) -> list[int]:
    """Wait until so many of a program have noted their pids, and return them."""
    file = f"{name}.members"
    wait_until(lambda: daemon.text(file).count("\n") == count, what=f"{count} members of {name}")
    return [int(word) for word in daemon.text(file).split()]


def runaway(name: str = "tree", escape: str = GONE, **options: object) -> str:
    """Return a program whose child gets away like that; the main process sleeps."""
    settings = {"startsecs": 0, "stopwaitsecs": 1, **options}
    return program(name, sh(f"{escape}\nexec sleep 99999"), **settings)


OTHER = program("other", SLEEPER, startsecs=0)
"""A bystander: with one run only, a runaway could be assigned by elimination."""


def begin(daemons: Daemons, group: Path, programs: str) -> tuple[Daemon, int]:
    """Start a daemon with a runaway called tree; return that, too."""
    daemon = daemons(programs + OTHER, settings=in_group(group), survivors=True)
    (member,) = members(daemon, "tree")
    return daemon, member


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give it up")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_who_gives_up_root_in_the_cgroup_is_no_liar(daemons: Daemons, group: Path) -> None:
    """Another user, another session, no output of the run: the cgroup is proof enough."""
    drop = "setpriv --reuid=65534 --regid=65534 --clear-groups sleep 100000"
    note = f"echo $$ >>%(here)s/%(program_name)s.members; exec {drop}"
    escape = f"(setsid sh -c '{note}' <&- >&- 2>&- &)"
    daemon, member = begin(daemons, group, runaway(escape=escape))
    wait_until(lambda: os.stat(f"/proc/{member}").st_uid == 65534)
    crash(daemon)
    assert "though their environment says so" not in daemon.log()
    daemon.ctl("stop", "tree")
    assert not alive(member)


@pytest.mark.parametrize("life", ["own", "adopted", "upgraded"])
@pytest.mark.parametrize("end", ["stop", "crash", "restart"])
def test_nobody_gets_out(daemons: Daemons, group: Path, life: str, end: str) -> None:
    """Ended and named, before the process is stopped or has its next run."""
    daemon, member = begin(daemons, group, runaway())
    other, pid = daemon.status("other")["pid"], daemon.status("tree")["pid"]
    if life != "own":
        (crash if life == "adopted" else upgrade)(daemon)
        assert daemon.status("tree")["pid"] == pid
    if end == "stop":
        daemon.ctl("stop", "tree")
        assert f"1 leftover ended: {member} sleep" in daemon.status("tree")["reason"]
        assert not alive(member)
    else:
        if end == "crash":
            os.kill(pid, signal.SIGKILL)
        else:
            daemon.call("restart", names=["tree"], wait=False)
        first, second = members(daemon, "tree", 2)
        assert first == member
        assert not alive(first)
        assert alive(second)
    assert daemon.status("other")["pid"] == other
    no_zombies(daemon)
    daemon.ctl("stop", "all")
    assert groups(group) == []


def test_nobody_gets_out_while_no_daemon_is_there(daemons: Daemons, group: Path) -> None:
    """The main process died with nobody watching; the next daemon ends what it left first."""
    daemon, member = begin(daemons, group, runaway())
    pid = daemon.status("tree")["pid"]
    kill(daemon, inherit=True)
    kill_process(pid)
    daemon.start()
    first, second = members(daemon, "tree", 2)
    assert first == member
    assert not alive(first)
    assert alive(second)
    assert len(groups(group)) == 2


def test_a_run_that_was_not_written_down_is_found(daemons: Daemons, group: Path) -> None:
    """The daemon died after the fork, and the program has cleared its environment."""
    table = program("bare", ["env", "-i", "sleep", "99999"], startsecs=0)
    daemon = daemons(table + OTHER, settings=in_group(group))
    pid = daemon.status("bare")["pid"]
    wait_until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    kill(daemon)
    sql = "UPDATE runs SET pid = NULL, boot = NULL, start = NULL, inode = NULL WHERE name = ?"
    edit(daemon, sql, "bare")
    daemon.start()
    assert daemon.status("bare")["pid"] == pid
    daemon.ctl("stop", "all")
    assert not alive(pid)


def test_a_generation_that_forks_faster_than_it_is_signalled(daemons: Daemons, group: Path) -> None:
    """All at once by the kernel: a family that hears no TERM and grows does not outrun its end."""
    spawner = (
        'trap "" TERM; while :; do setsid sh -c "trap \\\\"\\\\" TERM; sleep 5" & sleep 0.02; done'
    )
    daemon = daemons(runaway("tree", f"env -i PATH=$PATH setsid sh -c '{spawner}' &") + OTHER,
                     settings=in_group(group))  # fmt: skip
    wait_until(lambda: any(len(cgroup.members(str(path))) > 10 for path in groups(group)))
    daemon.ctl("stop", "tree")
    assert "leftovers killed" in daemon.status("tree")["reason"]
    assert len(groups(group)) == 1


def test_keep_keeps_them_and_says_so(daemons: Daemons, group: Path) -> None:
    """They live on, over the daemon's death too; their cgroup goes when they have gone."""
    daemon, member = begin(daemons, group, runaway(leftovers="keep"))
    daemon.ctl("stop", "tree")
    assert f"1 left running: {member} sleep" in daemon.status("tree")["reason"]
    for again in (crash, upgrade):
        again(daemon)
        assert alive(member)
        assert daemon.states() == {"tree": "STOPPED", "other": "RUNNING"}
    assert len(groups(group)) == 2
    kill_process(member)
    daemon.ctl("restart", "other")
    assert len(groups(group)) == 1


def test_two_daemons_in_one_cgroup(daemons: Daemons, group: Path) -> None:
    """The run ids are the same; neither ends, adopts or removes what is the other's."""
    first, a = begin(daemons, group, runaway())
    second, b = begin(daemons, group, runaway())
    assert [path.name for path in groups(group)] == ["run-1", "run-2"] * 2
    kill(first)
    second.ctl("stop", "all")
    assert (alive(a), alive(b)) == (True, False)
    assert len(groups(group)) == 2
    second.ctl("shutdown")
    second.wait_exit()
    first.start()
    assert alive(a)
    assert first.states() == {"tree": "RUNNING", "other": "RUNNING"}
    first.ctl("stop", "tree")
    assert not alive(a)


def test_they_are_removed(daemons: Daemons, group: Path) -> None:
    """With each run its cgroup goes, also if the program made others in it; at the end all."""
    inner = f"{locate(look())[0]}$(sed -n s/^0:://p /proc/self/cgroup)/inner"
    inner = f"mkdir {inner}; sh -c 'echo 0 >{inner}/cgroup.procs; {NOTE}' &"
    daemon = daemons(
        program("fails", sh("exit 3"), startretries=2, backoff=0.01)
        + program("missing", "/does/not/exist", startretries=0)
        + runaway("tree", inner),
        settings=in_group(group),
    )
    (member,) = members(daemon, "tree")
    daemon.wait_state("fails", "FATAL")
    daemon.wait_state("missing", "FATAL")
    (only,) = groups(group)
    assert (only / "inner/cgroup.procs").read_text() == f"{member}\n"
    daemon.ctl("stop", "tree")
    assert not alive(member)
    assert groups(group) == []
    daemon.ctl("shutdown")
    assert daemon.wait_exit() == 0
    assert [path for path in group.iterdir() if path.is_dir()] == []


class Placed(Daemon):
    """A daemon that is started in a cgroup."""

    place: Path

    def command(self) -> list[str]:
        line = super().command()
        return ["sh", "-c", f'echo $$ >{self.place}/cgroup.procs; exec "$@"', "sh", *line]


def test_a_cgroup_of_the_daemons_own_is_used(daemons: Daemons, group: Path) -> None:
    """By default, when systemd has marked it as delegated; over a crash and an upgrade."""
    try:
        os.setxattr(group, "user.delegate", b"1")
    except OSError as error:
        pytest.skip(f"a cgroup cannot be marked: {error.strerror}")
    daemon = Placed(runaway() + OTHER)
    daemon.place = group
    daemons._made.append(daemon)
    daemon.start()
    (member,) = members(daemon, "tree")
    assert len(groups(group)) == 2
    for again in (crash, upgrade):
        again(daemon)
        assert len(groups(group)) == 2
    daemon.ctl("stop", "all")
    assert not alive(member)
    assert groups(group) == []


def test_a_daemon_that_gave_root_up(daemons: Daemons, group: Path) -> None:
    """As systemd delegates it with `User=`: the cgroup belongs to the daemon's user."""
    try:
        os.setxattr(group, "user.delegate", b"1")
        user = pwd.getpwnam("nobody").pw_uid
    except (OSError, KeyError) as error:
        pytest.skip(f"no delegation to nobody: {error}")
    for path in (group, group / "cgroup.procs", group / "cgroup.subtree_control"):
        os.chown(path, user, -1)
    daemon = Placed(runaway() + OTHER, settings='user = "nobody"')
    daemon.place = group
    daemon.dir.chmod(0o777)
    daemons._made.append(daemon)
    daemon.start()
    (member,) = members(daemon, "tree")
    assert len(groups(group)) == 2
    daemon.ctl("stop", "all")
    assert not alive(member)
    assert groups(group) == []


CONTAINER = ["unshare", "--pid", "--mount-proc", "--cgroup", "--fork", "--kill-child=SIGKILL"]


def contained(*line: str) -> list[str]:
    """Return the line that runs a command as process 1 of a container."""
    place = locate(look())[0]
    mount = f'umount {place} && mount -t cgroup2 cgroup2 {place} && exec "$@"'
    return [*CONTAINER, "sh", "-c", mount, "sh", *line]


class Contained(Placed):
    """A daemon whose own cgroup is the root of all that it sees."""

    def command(self) -> list[str]:
        """See `Placed.command`."""
        line = contained(*Daemon.command(self))
        return ["sh", "-c", f'echo $$ >{self.place}/cgroup.procs; exec "$@"', "sh", *line]


def test_the_root_of_a_container_is_used_by_its_first_process(group: Path) -> None:
    """It has nobody else; when it is killed, everything is."""
    if subprocess.run(contained("true"), capture_output=True, timeout=30).returncode:
        pytest.skip("this root may not make namespaces and mounts")
    daemon = Contained(runaway() + OTHER)
    daemon.place = group
    try:
        daemon.start()
        members(daemon, "tree")
        assert sorted(len(cgroup.members(str(run))) for run in groups(group)) == [1, 2]
        daemon.ctl("stop", "tree")
        assert "1 leftover ended: " in daemon.status("tree")["reason"]
        assert len(groups(group)) == 1
    finally:
        assert daemon.process is not None
        daemon.process.kill()
        daemon.wait_exit()
        shutil.rmtree(daemon.dir, ignore_errors=True)


@pytest.mark.parametrize("setting", ["", 'cgroups = "off"'])
def test_where_none_is_ours_there_is_none(daemons: Daemons, group: Path, setting: str) -> None:
    """Not in a login session; not when it is switched off, though it is delegated."""
    if setting:
        with contextlib.suppress(OSError):
            os.setxattr(group, "user.delegate", b"1")
    daemon = Placed(
        program("web", SLEEPER, startsecs=0, memory_max="64MB"),
        settings=setting, environment={"XDG_SESSION_ID": "3"},
    )  # fmt: skip
    daemon.place = group
    daemons._made.append(daemon)
    daemon.start()
    assert daemon.states() == {"web": "RUNNING"}
    assert groups(group) == []
    why = 'cgroups is "off"' if setting else "that of a login session"
    assert why in daemon.log()


def test_limits_that_cannot_be_applied(daemons: Daemons, group: Path) -> None:
    """Told once per program and key, with the reason; the program runs all the same."""
    if "memory" in (group / "cgroup.controllers").read_text().split():
        pytest.skip("this machine can apply them")
    limits = {"memory_max": "64MB", "cpu_max": "150%"}
    name = "web_%(process_num)d"
    table = program("web", SLEEPER, startsecs=0, numprocs=2, process_name=name, **limits)
    daemon = daemons(table, settings=in_group(group))
    assert set(daemon.states().values()) == {"RUNNING"}
    daemon.ctl("restart", "all")
    for key, controller in (("memory_max", "memory"), ("cpu_max", "cpu")):
        words = f'web: {key} is not applied: the controller "{controller}" is not available'
        assert daemon.log().count(words) == 1
    assert "pids_max" not in daemon.log()


def test_a_place_that_is_of_no_use(daemons: Daemons) -> None:
    """Said, and everything runs without."""
    daemon = daemons.prepare(OTHER)
    daemon.settings = in_group(daemon.dir)
    daemon.configure(OTHER)
    daemon.start()
    assert daemon.states() == {"other": "RUNNING"}
    assert f'cgroups = "{daemon.dir}" cannot be used: ' in daemon.log()
    assert "is no cgroup of version 2" in daemon.log()


def test_who_is_in_the_way_is_left_alone(daemons: Daemons, group: Path) -> None:
    """A cgroup of that name in which somebody lives is not the run's, which does without."""
    daemon = daemons(
        runaway("tree", f"sh -c '{NOTE}' &", autostart=False), settings=in_group(group)
    )
    (directory,) = group.glob("supervisor-lite-*")
    (directory / "run-1").mkdir()
    with subprocess.Popen(["sleep", "99999"]) as stranger:
        try:
            (directory / "run-1/cgroup.procs").write_text(str(stranger.pid))
            daemon.ctl("start", "tree")
            (member,) = members(daemon, "tree")
            assert f'cannot make the cgroup "{directory}/run-1": File exists' in daemon.log()
            daemon.ctl("stop", "tree")
            assert not alive(member)
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_child_that_cannot_join(daemons: Daemons, group: Path) -> None:
    """It runs without a cgroup, and so do all after it; that is said."""
    table = runaway("tree", f"sh -c '{NOTE}' &", autostart=False)
    daemon = daemons(table, settings=in_group(group))
    (directory,) = group.glob("supervisor-lite-*")
    (directory / "cgroup.type").write_text("threaded")  # below it none can hold a process
    daemon.ctl("start", "tree")
    (member,) = members(daemon, "tree")
    assert "runs get no cgroups any more: cannot join its cgroup: " in daemon.log()
    daemon.ctl("stop", "all")
    assert not alive(member)
    assert groups(group) == []


def made_up(place: Path, **files: str) -> Path:
    """Make a directory that looks like a cgroup in which nobody lives."""
    place.mkdir()
    texts = {"cgroup.events": "populated 0\n", "cgroup.controllers": "memory pids\n", **files}
    for name in ("cgroup.procs", "cgroup.subtree_control", "memory.max", "pids.max"):
        texts.setdefault(name, "")
    for name, text in texts.items():
        (place / name).write_text(text)
    return place


def made_up_place(daemons: Daemons, table: str) -> tuple[Daemon, Path]:
    """Return a daemon, and where it looks for the cgroups of its runs: all is made up."""
    daemon = daemons.prepare()
    base = made_up(daemon.dir / "base")
    daemon.settings = in_group(base)
    daemon.configure("")
    daemon.start()
    (directory,) = base.glob("supervisor-lite-*")
    daemon.ctl("shutdown")
    assert daemon.wait_exit() == 0
    made_up(directory)
    daemon.configure(table)
    return daemon, directory


@pytest.mark.parametrize("limits", [{"memory_max": "64MB", "pids_max": 7}, {"pids_max": 7}])
def test_an_end_for_want_of_memory_is_named(daemons: Daemons, limits: dict[str, object]) -> None:
    """In the state's reason and in `why`, with the limit if there is one.

    The kernel's files are made up: controllers may belong to version 1 here.
    """
    table = program("web", SLEEPER, startsecs=0, autorestart=False, autostart=False, **limits)
    daemon, directory = made_up_place(daemons, table)
    first, second = (made_up(directory / f"run-{number}") for number in (1, 2))
    daemon.start()
    daemon.ctl("start", "web")
    assert (first / "pids.max").read_text() == "7"
    assert (first / "memory.max").read_text() == ("67108864" if "memory_max" in limits else "")
    assert "+" in (directory / "cgroup.subtree_control").read_text()
    kill_process(daemon.status("web")["pid"], reaped=False)
    assert daemon.wait_state("web", "EXITED")["reason"] == "killed by SIGKILL (not expected)"
    daemon.ctl("start", "web")
    (second / "memory.events").write_text("oom 1\noom_kill 1\n")
    kill_process(daemon.status("web")["pid"], reaped=False)
    cause = "out of memory (memory_max 64MB)" if "memory_max" in limits else "out of memory"
    reason = daemon.wait_state("web", "EXITED")["reason"]
    assert reason == f"killed by SIGKILL: {cause} (not expected)"
    assert f"run 2 ended by SIGKILL: {cause} after" in daemon.ctl("why", "web").stdout
    assert [run["reason"] for run in daemon.call("runs", names=["web"])["runs"]] == [cause, ""]
    assert f"SIGKILL: {cause}" in daemon.ctl("runs", "web").stdout
    crash(daemon)
    assert daemon.status("web")["reason"] == reason


def test_a_kill_by_the_daemon_is_not_for_want_of_memory(daemons: Daemons) -> None:
    """Somebody else of the run was killed for that before; the main process would not end."""
    deaf = "trap '' TERM; echo ready; exec sleep 100000"
    table = program("web", sh(deaf), startsecs=0, stopwaitsecs=0.1, autostart=False)
    daemon, directory = made_up_place(daemons, table)
    made_up(directory / "run-1", **{"memory.events": "oom_kill 1\n"})
    daemon.start()
    daemon.ctl("start", "web")
    wait_until(lambda: "ready" in daemon.text("log/web.stdout.log"))
    daemon.ctl("stop", "web")
    assert "KILL after" in daemon.status("web")["reason"]
    assert "out of memory" not in daemon.log()


def test_a_process_whose_first_thread_has_ended_is_no_empty_cgroup(
    daemons: Daemons, group: Path
) -> None:
    """/proc shows a zombie; the cgroup is populated, and the stop waits for its end."""
    daemon = daemons.prepare(settings=in_group(group))
    pid = threaded(daemon, main=False)
    daemon.ctl("stop", "web")
    assert not runs(pid)
    assert f"killed: {pid} python" in daemon.status("web")["reason"]
    assert groups(group) == []


def test_a_new_master_is_followed_in_its_cgroup(daemons: Daemons, group: Path) -> None:
    daemon = daemons.prepare(settings=in_group(group))
    begin_master(daemon, pidfile=True)
    new = renewed(daemon)
    crash(daemon)
    assert daemon.status("web")["pid"] == new
    assert len(groups(group)) == 1
    daemon.ctl("stop", "web")
    assert not alive(new)
    assert groups(group) == []
