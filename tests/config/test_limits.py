"""Limits, placement and secrets of a program: what the keys take, and every complaint."""

from __future__ import annotations

import json
import resource

import pytest

from supervisor_lite.config.placing import LIMITS
from supervisor_lite.memory import program_from_json, program_to_text
from supervisor_lite.rules.placement import Credential, EnvFile, Placement, ResourceLimit
from supervisor_lite.rules.program import MIB, Program
from tests.config.conftest import Folder
from tests.config.test_schema import valid

WEB = '[program.web]\ncommand = "sleep 1"\n'


def web(folder: Folder, lines: str) -> Program:
    """Return the program; its file must be valid for editors, too."""
    assert valid(WEB + lines)
    return folder.process(WEB + lines)


def placed(folder: Folder, lines: str) -> Placement:
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
        ('rttime = "50ms"', limit("rttime", 50_000, 50_000)),
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
        ("nofil = 1", 'the unknown limit "nofil", did you mean "nofile"?'),
        ("RLIMIT_CORE = 1", 'the unknown limit "RLIMIT_CORE", did you mean "core"?'),
        ("nofile = [1, 2, 3]", "nofile is one value, or a list of the soft and the hard one"),
        ("nofile = [10, 5]", "the soft limit of nofile is above the hard one"),
        ('nofile = ["unlimited", 5]', "the soft limit of nofile is above the hard one"),
        ('nofile = "2GB"', 'nofile is a whole number or "unlimited"'),
        ("nofile = -1", 'nofile is a whole number or "unlimited"'),
        ("nofile = true", 'nofile is a whole number or "unlimited"'),
        ('as = "much"', 'as is a size or "unlimited"'),
        ('cpu = "1 fortnight"', 'cpu is a duration or "unlimited"'),
    ],
)
def test_bad_limits(folder: Folder, written: str, said: str) -> None:
    (complaint,) = folder.complaints(f"{WEB}rlimits = {{ {written} }}\n")
    assert complaint.startswith(
        "supervisor.toml:3: program.web.rlimits: expected a table of limits"
    )
    assert said in complaint


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
    expected = Placement(nice=-5, oom_score_adj=300, no_new_privileges=True)
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
        ('credentials = { "a/b" = "/x" }', 'with "a/b", which is no name of a file'),
        ('credentials = { ".." = "/x" }', 'with "..", which is no name of a file'),
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


def test_the_next_daemon_knows_all_of_it(folder: Folder) -> None:
    """What the journal keeps gives the same definition again."""
    program = web(
        folder,
        'rlimits = { nofile = [10, 20], core = "unlimited" }\nnice = 3\ncpu_affinity = "0-1"\n'
        'env_file = "-x"\ncredentials = { a = "/b" }\nmemory_restart = "64MB"\n',
    )
    assert program.memory_restart == 64 * MIB
    assert program_from_json(json.loads(program_to_text(program))) == program
    plain = folder.process(WEB)
    assert program_from_json(json.loads(program_to_text(plain))) == plain
