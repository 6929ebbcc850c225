"""Limits, placement and secrets of a program: what the keys take, and every complaint."""

from __future__ import annotations

import json
import os
import resource

import pytest

from supervisor_lite.config.types.limits import LIMITS
from supervisor_lite.model.constants import MIB
from supervisor_lite.model.process_attributes import ProcessAttributes, ResourceLimit
from supervisor_lite.model.program import Program
from supervisor_lite.model.secrets import Credential, EnvFile
from supervisor_lite.store.codec import decode, encode
from tests.config.conftest import Folder, unprivileged
from tests.config.test_schema import valid

WEB = '[program.web]\ncommand = "sleep 1"\n'


def web(folder: Folder, lines: str) -> Program:
    """Return the program; its file must be valid for editors, too."""
    assert valid(WEB + lines)
    return folder.process(WEB + lines)


def placed(folder: Folder, lines: str) -> ProcessAttributes:
    placement = web(folder, lines).placement
    assert placement is not None
    return placement


def limit(name: str, soft: int | None, hard: int | None) -> ResourceLimit:
    return ResourceLimit(name=name, soft=soft, hard=hard)


def test_nothing_is_set_by_default(folder: Folder) -> None:
    """A program that asks for nothing costs nothing."""
    program = web(folder, "")
    assert (program.placement, program.env_file, program.credentials) == (None, (), ())
    assert program.memory_restart is None


def test_every_limit_of_this_system_has_a_name() -> None:
    """All RLIMIT_ names, but for the other name of nofile."""
    known = {name[7:].lower() for name in dir(resource) if name.startswith("RLIMIT_")}
    assert set(LIMITS) >= known - {"ofile"}
    assert len(set(LIMITS)) == len(LIMITS)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("nofile = 4096", limit("nofile", 4096, 4096)),
        ("nofile = [1024, 4096]", limit("nofile", 1024, 4096)),
        ('core = "unlimited"', limit("core", None, None)),
        ('core = [0, "unlimited"]', limit("core", 0, None)),
        ('as = "2GB"', limit("as", 2 << 30, 2 << 30)),
        ('cpu = "1m30s"', limit("cpu", 90, 90)),
        ('cpu = "0.4s"', limit("cpu", 1, 1)),
        ('cpu = [1.5, "2001ms"]', limit("cpu", 2, 3)),
        ('rttime = "50ms"', limit("rttime", 50_000, 50_000)),
        ('rttime = "70ms"', limit("rttime", 70_000, 70_000)),
        ('nproc = "%(ENV_MANY)s"', limit("nproc", 300, 300)),
    ],
)
def test_limits(folder: Folder, written: str, expected: ResourceLimit) -> None:
    """One value is both limits; each has the units of what it counts."""
    lines = f"rlimits = {{ {written} }}\n"
    assert valid(WEB + lines)
    placement = folder.process(WEB + lines, {"MANY": "300"}).placement
    assert placement is not None
    assert placement.rlimits == (expected,)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("nofil = 1", 'expected the name of a limit, got "nofil", did you mean "nofile"?'),
        ("RLIMIT_CORE = 1", 'the name of a limit, got "RLIMIT_CORE", did you mean "core"?'),
        ("nofile = [1, 2, 3]", "or a list of the soft and the hard limit, got a list of 3"),
        ("nofile = [10, 5]", "got a list where the soft limit is above the hard one"),
        ('nofile = ["unlimited", 5]', "got a list where the soft limit is above the hard one"),
        ('nofile = "2GB"', 'expected a whole number or "unlimited", or a list of the soft'),
        ("nofile = -1", 'expected a whole number or "unlimited", or a list of the soft'),
        ("nofile = [-1, 3]", 'expected a whole number or "unlimited", got the number -1'),
        ("nofile = true", 'expected a whole number or "unlimited", or a list of the soft'),
        ('as = "much"', 'expected a size or "unlimited", or a list of the soft'),
        ('cpu = "1 fortnight"', 'expected a duration or "unlimited", or a list of the soft'),
        ("cpu = 0", "got the number 0: it would be killed at once"),
        ('cpu = ["0s", 5]', 'got the string "0s": it would be killed at once'),
    ],
)
def test_bad_limits(folder: Folder, written: str, said: str) -> None:
    (complaint,) = folder.complaints(f"{WEB}rlimits = {{ {written} }}\n")
    name = written.split()[0]
    assert complaint.startswith(f"supervisor.toml:3: program.web.rlimits.{name}: expected ")
    assert said in complaint


def test_every_bad_limit_is_complained_of(folder: Folder) -> None:
    """One mistake does not hide the others; each has the place of its own."""
    text = (
        f"{WEB}rlimits.nofile = [8, 4]\nrlimits.cpu = 'x'\nrlimits.as = [1]\n"
        "rlimits.core = -1\nrlimits.stack = '8MB'\nrlimits.oops = '%(nope)s'\n"
    )
    assert [complaint.split(": ")[:2] for complaint in folder.complaints(text)] == [
        ["supervisor.toml:3", "program.web.rlimits.nofile"],
        ["supervisor.toml:4", "program.web.rlimits.cpu"],
        ["supervisor.toml:5", "program.web.rlimits.as"],
        ["supervisor.toml:6", "program.web.rlimits.core"],
        ["supervisor.toml:8", "program.web.rlimits.oops"],
        ["supervisor.toml:8", "program.web.rlimits.oops"],
    ]


def test_every_bad_credential_is_complained_of(folder: Folder) -> None:
    text = f'{WEB}credentials = {{ db = 3, "..x" = "/etc/x", "" = "x", ok = "/etc/passwd" }}\n'
    assert [complaint.split(", got ")[0] for complaint in folder.complaints(text)] == [
        'supervisor.toml:3: program.web.credentials."": expected a name for a file of at most 128'
        " characters (letters, digits and _ . @ - only, beginning with none of the last three)",
        'supervisor.toml:3: program.web.credentials."..x": expected a name for a file of at most'
        " 128 characters (letters, digits and _ . @ - only, beginning with none of the last three)",
        "supervisor.toml:3: program.web.credentials.db: expected a path",
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0", (0,)),
        ('"0-3,8"', (0, 1, 2, 3, 8)),
        ("[8, 0, 1, 1]", (0, 1, 8)),
        ('["0-1", 5]', (0, 1, 5)),
        ('" 2 - 3 , 0 "', (0, 2, 3)),
    ],
)
def test_cpus(folder: Folder, written: str, expected: tuple[int, ...]) -> None:
    assert placed(folder, f"cpu_affinity = {written}\n").cpu_affinity == expected


@pytest.mark.parametrize("written", ['""', "[]", '"3-1"', '"a"', "-1", '"0-99999"', "8192", "1.5"])
def test_bad_cpus(folder: Folder, written: str) -> None:
    (complaint,) = folder.complaints(f"{WEB}cpu_affinity = {written}\n")
    assert complaint.startswith("supervisor.toml:3: program.web.cpu_affinity: expected CPUs")


def test_the_rest_of_the_placement(folder: Folder) -> None:
    lines = "nice = -5\noom_score_adj = 300\nno_new_privileges = true\n"
    expected = ProcessAttributes(nice=-5, oom_score_adj=300, no_new_privileges=True)
    assert placed(folder, lines) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nice = 20", "expected a whole number from -20 to 19, got the number 20"),
        ("oom_score_adj = -1001", "expected a whole number from -1000 to 1000"),
        ('no_new_privileges = "yes"', "expected true or false"),
        ("env_file = 3", "expected a path or a list of paths"),
        ('env_file = "-"', "which names no file"),
        ('env_file = "-~no-such-user/x"', "and there is no such user"),
        ("rlimits = 3", "expected a table of limits like"),
        ("credentials = 3", "expected a table of paths like"),
        ("memory_restart = 0", "that is always exceeded"),
        ('memory_restart = "lots"', 'expected a size like "600MB"'),
    ],
)
def test_bad_values(folder: Folder, line: str, said: str) -> None:
    (complaint,) = folder.complaints(f"{WEB}{line}\n")
    assert complaint.startswith(f"supervisor.toml:3: program.web.{line.split()[0]}: ")
    assert said in complaint


def test_a_check_that_never_rests_is_refused(folder: Folder) -> None:
    text = WEB + 'memory_restart = "1GB"\nmemory_check_interval = "1ms"\n'
    (complaint,) = folder.complaints(text)
    assert "supervisor.toml:4: program.web.memory_check_interval: " in complaint
    assert "at least 0.1 s" in complaint


def test_an_interval_alone_is_probably_a_mistake(folder: Folder) -> None:
    (warning,) = folder.load(WEB + 'memory_check_interval = "30s"\n').warnings
    assert warning.endswith("memory_check_interval: has no effect without memory_restart")


def test_paths_are_relative_to_their_file(folder: Folder) -> None:
    """As all other paths; each process may have its own."""
    folder.write(
        "conf.d/worker.toml",
        '[program.worker]\ncommand = "sleep 1"\nnumprocs = 2\n'
        'process_name = "w%(process_num)d"\n'
        'env_file = ["common.env", "-../w%(process_num)d.env"]\n'
        'credentials = { db = "secrets/%(process_num)d" }\n',
    )
    one, two = folder.processes("[daemon]\n")
    here = folder.path / "conf.d"
    common = EnvFile(path=f"{here}/common.env")
    assert one.env_file == (common, EnvFile(path=f"{folder.path}/w0.env", optional=True))
    assert two.env_file == (common, EnvFile(path=f"{folder.path}/w1.env", optional=True))
    assert two.credentials == (Credential(name="db", path=f"{here}/secrets/1"),)


def test_processes_share_what_is_equal(folder: Folder) -> None:
    """Ten thousand processes with limits have one object between them."""
    lines = 'numprocs = 2\nprocess_name = "w%(process_num)d"\nnice = 3\n'
    one, two = folder.processes(WEB + lines)
    assert one.placement is two.placement is not None


def test_each_process_has_its_place(folder: Folder) -> None:
    """Worker N runs on CPU N; the other keys of its place may hold its number, too."""
    lines = (
        'numprocs = 3\nprocess_name = "w%(process_num)d"\ncpu_affinity = "%(process_num)d"\n'
        'nice = "%(process_num)d"\noom_score_adj = "1%(process_num)d"\n'
        'rlimits = { nofile = "6%(process_num)d" }\n'
    )
    assert valid(WEB + lines)
    assert [process.placement for process in folder.processes(WEB + lines)] == [
        ProcessAttributes(
            cpu_affinity=(n,), nice=n, oom_score_adj=10 + n,
            rlimits=(limit("nofile", 60 + n, 60 + n),),
        )
        for n in range(3)
    ]  # fmt: skip
    listed = lines.replace('"%(process_num)d"\nnice', '["1%(process_num)d", 3]\nnice')
    found = [process.placement for process in folder.processes(WEB + listed)]
    assert [each and each.cpu_affinity for each in found] == [(3, 10), (3, 11), (3, 12)]


@pytest.mark.parametrize("equal", [False, True])
def test_a_brake_beyond_the_wall_is_a_mistake(folder: Folder, equal: bool) -> None:
    """memory_high slows a program down before memory_max ends it."""
    text = f"{WEB}memory_max = '64MB'\nmemory_high = {(64 << 20) + (not equal)}\n"
    if equal:
        assert folder.process(text).memory_high == 64 << 20
        return
    assert folder.complaints(text) == [
        "supervisor.toml:4: program.web.memory_high: 67108865 is above memory_max, 64MB:"
        " it is never reached"
    ]


def test_a_secret_that_is_missing_is_a_warning(folder: Folder) -> None:
    """It may be made until the program starts, or the check runs on another machine."""
    folder.write("there.env", "A=1\n")
    text = (
        f'{WEB}numprocs = 2\nprocess_name = "w%(process_num)d"\n'
        'env_file = [\n"there.env",\n"gone.env",\n"-maybe.env"\n]\n'
        '[program.web.credentials]\ndb = "there.env/db"\nkey = "k%(process_num)d"\n'
        'fine = "there.env"\n'
    )
    end = "starts fail as long as it is missing"
    key = "supervisor.toml:12: program.web.credentials.key: there is no file"
    assert folder.load(text).warnings == (
        f"supervisor.toml:7: program.web.env_file: there is no file {folder.path}/gone.env: {end}",
        "supervisor.toml:11: program.web.credentials.db: there is no file"
        f" {folder.path}/there.env/db: {end}",
        f"{key} {folder.path}/k0: {end}",
        f"{key} {folder.path}/k1: {end}",
    )


def test_what_may_not_be_looked_at_is_not_called_missing(public: Folder) -> None:
    """An ordinary user checks the configuration of a daemon that is root."""
    public.write("private/db", "x").parent.chmod(0o700)
    (warning,) = public.load(f'{WEB}credentials = {{ db = "private/nothing" }}\n').warnings
    assert "program.web.credentials.db: there is no file" in warning
    (public.path / "supervisor.toml").chmod(0o644)
    with unprivileged():
        if os.access(public.path / "private", os.X_OK, effective_ids=True):
            pytest.skip("permissions do not apply to who runs the tests")
        assert public.load().warnings == ()


def test_the_next_daemon_knows_all_of_it(folder: Folder) -> None:
    """What the journal keeps gives the same definition again."""
    program = web(
        folder,
        'rlimits = { nofile = [10, 20], core = "unlimited" }\nnice = 3\ncpu_affinity = "0-1"\n'
        'env_file = "-x"\ncredentials = { a = "/b" }\nmemory_restart = "64MB"\n',
    )
    assert program.memory_restart == 64 * MIB
    assert decode(Program, json.loads(json.dumps(encode(program)))) == program
    plain = folder.process(WEB)
    assert decode(Program, json.loads(json.dumps(encode(plain)))) == plain
