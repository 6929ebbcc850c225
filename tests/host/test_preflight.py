"""What would keep a program from being started, in the words of the start itself."""

from __future__ import annotations

import errno
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.errors import SpawnError
from supervisor_lite.explain.advice import advice_text
from supervisor_lite.host import users
from supervisor_lite.host.command import exec_failure
from supervisor_lite.host.permissions import ENTER, EXECUTE, READ, obstacle
from supervisor_lite.host.preflight import Preflight
from supervisor_lite.host.program_file import file_trouble
from supervisor_lite.model.cause import SpawnFailure
from supervisor_lite.model.program import Program
from supervisor_lite.model.secrets import Credential, EnvFile
from supervisor_lite.users import find_user

ENVIRONMENT = {"PATH": "/usr/bin:/bin"}
PROGRAM = Program(name="web", command=("sleep", "5"))

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")


def said(**fields: object) -> list[str]:
    """Return what is found of a program, each as `key: text`."""
    program = PROGRAM._replace(**fields)  # type: ignore[arg-type]
    return [
        f"{key}: {about.text if isinstance(about, SpawnFailure) else advice_text(about)}"
        for key, about in Preflight(ENVIRONMENT).look(program)
    ]


def test_nothing_is_found_of_what_would_start(tmp_path: Path) -> None:
    assert said() == []
    (tmp_path / "web.env").write_text("A=1\n")
    files = (EnvFile(str(tmp_path / "web.env")), EnvFile(str(tmp_path / "none.env")))
    assert said(directory=str(tmp_path), env_file=files) == []


# The first word, and what is said of it after "cannot find the command".
FIRST_WORDS = {
    "FOO=1": 'it is a variable, and no shell reads the command; write environment = { FOO = "…" }',
    "cd": '"cd" is a word of a shell, and no shell reads the command; write directory = "…", or',
    "export": "write environment = { … }, or",
    "source": 'write env_file = "…" for variables, or',
    "ulimit": "write rlimits = { … }, or",
    "while": 'write command = ["sh", "-c", "…"]',
    "~/bin/x": "write the whole path, or %(ENV_HOME)s/…",
    "$HOME/x": "write %(ENV_HOME)s, or",
    "`which`": '"`which`" is not expanded',
    "python3 app.py": 'is one argument; write ["python3", "app.py"]',
    "srv;": '"srv;" is an argument here',
    "./run&": "leave it out: a program stays in the foreground",
}


@pytest.mark.parametrize(("word", "hint"), FIRST_WORDS.items())
def test_a_first_word_of_a_shell(word: str, hint: str) -> None:
    (text,) = said(command=(word, "x"))
    if word not in ("cd", "ulimit"):  # which some systems have
        assert text.startswith(f'command: cannot find the command "{word}": ')
    assert hint in text


def test_a_plain_command_that_is_missing() -> None:
    assert said(command=("no-such",)) == ['command: cannot find the command "no-such"']


def test_a_directory_of_path_that_may_not_be_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one of root's PATH, inherited by somebody else: who knows what it holds?"""

    def stat(path: str) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("supervisor_lite.host.command.os.stat", stat)
    assert said(command=("no-such",)) == ['command: cannot find the command "no-such"']


def test_a_file_of_the_directory_is_not_looked_for_without_a_slash(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    assert said(command=("run.sh",), directory=str(tmp_path)) == [
        'command: cannot find the command "run.sh": the directory has one, which is found as '
        '"./run.sh" only'
    ]


def test_directories(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = f"{tmp_path}/nowhere"
    missing = f'directory: cannot enter the directory "{nowhere}": No such file or directory'
    assert said(directory=nowhere) == [missing]
    assert said(directory=nowhere, command=("./x",)) == [missing]
    assert said(directory=f"{tmp_path}/file") == [
        f'directory: cannot enter the directory "{tmp_path}/file": Not a directory'
    ]
    assert said(command=(str(tmp_path),)) == [f'command: the command "{tmp_path}" is a directory']


def test_files_with_secrets(tmp_path: Path) -> None:
    """Neither a secret nor a line is told; PATH in such a file counts."""
    bad, folder = tmp_path / "bad.env", tmp_path / "folder"
    bad.write_text("A=1\nhush\n")
    folder.mkdir()
    found = said(
        env_file=(EnvFile(str(bad)), EnvFile(str(folder))),
        credentials=(Credential("db", str(folder)), Credential("none", f"{tmp_path}/none")),
    )
    assert found == [
        f'env_file: cannot read the env_file "{bad}": line 2: expected NAME=VALUE',
        f'env_file: cannot read the env_file "{folder}": it is no regular file',
        f'credentials: cannot hand over the credential db from "{folder}": it is no regular file',
    ]
    (folder / "own").write_text("#!/bin/sh\n")
    (folder / "own").chmod(0o755)
    bad.write_text(f"PATH={folder}\n")
    assert said(command=("own",), env_file=(EnvFile(str(bad)),)) == []


def elf(machine: int, loader: bytes = b"/lib64/ld-linux-x86-64.so.2") -> bytes:
    """Return the beginning of a 64-bit program with one header, PT_INTERP."""
    head = bytearray(200)
    head[:6] = b"\x7fELF\x02\x01"
    head[18] = machine
    head[32] = 64
    head[54], head[56] = 56, 1
    head[64] = 3
    head[72] = 120
    head[120 : 120 + len(loader)] = loader
    return bytes(head)


OURS = Path("/proc/self/exe").read_bytes()[18]

# The content of an executable file, and what is said of it; {} is its path.
FILES = {
    "CR LF": (b"#!/bin/sh\r\nexit\r\n", 'so that "/bin/sh\\r" is looked for; mend it with: sed -i'),
    "CR LF and env": (b"#!/usr/bin/env python3\r\n", 'so that "python3\\r" is looked for'),
    "CR LF and an option": (b"#!/bin/sh -e\r\n", 'so that "-e\\r" is looked for'),
    "no interpreter": (b"#!/no/such\n", 'the interpreter "/no/such" of "{}" does not exist'),
    "none named": (b"#!\n", "its #! line names no interpreter"),
    "not in PATH": (
        b"#!/usr/bin/env no-such\n",
        'the interpreter "no-such" of "{}" is not in PATH',
    ),
    "no first line": (b"echo\n", "no program and no script with a #! line, such as #!/bin/sh"),
    "empty": (b"", "it is empty"),
    "BOM": (b"\xef\xbb\xbf#!/bin/sh\n", 'a byte order mark stands before its "#!"'),
    "Windows": (b"MZ\0\0", "it is a program for Windows"),
    "macOS": (b"\xcf\xfa\xed\xfe\0", "it is a program for macOS"),
    "machine": (elf(22 if OURS != 22 else 243), "it is a program for"),
    "musl": (elf(OURS, b"/lib/ld-musl-none.so.1"), "it was built for musl (Alpine)"),
    "cut off": (b"\x7fELF", "it is a program that was cut off"),
}


@pytest.mark.parametrize(("content", "hint"), FILES.values(), ids=FILES.keys())
def test_files_that_are_no_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, hint: str
) -> None:
    monkeypatch.setattr("supervisor_lite.host.program_file._BINFMT", str(tmp_path / "none"))
    path = tmp_path / "x"
    path.write_bytes(content)
    path.chmod(0o755)
    (text,) = said(command=(str(path),))
    assert hint.format(path) in text
    assert str(path) in text


def test_what_is_registered_runs_other_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With binfmt_misc nobody knows what does not run, before it was tried."""
    (tmp_path / "binfmt").mkdir()
    (tmp_path / "binfmt/qemu").touch()
    monkeypatch.setattr("supervisor_lite.host.program_file._BINFMT", str(tmp_path / "binfmt"))
    for content in (b"MZ\0", elf(22 if OURS != 22 else 243)):
        (tmp_path / "x").write_bytes(content)
        assert file_trouble(str(tmp_path / "x")) is None
    error = exec_failure(OSError(8, "Exec format error"), str(tmp_path / "x"))
    assert "no program and no script" in str(error)


# Other users.


@pytest.fixture
def public() -> Iterator[Path]:
    """Return a directory that everybody may enter, unlike that of the tests."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="sl-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


@as_root
def test_what_another_user_may_not(public: Path) -> None:
    private = public / "private"
    private.mkdir(mode=0o700)
    program = private / "x"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    enters = f'the user "nobody" may not enter "{private}"'
    assert said(command=(str(program),), user="nobody") == [
        f'command: cannot run "{program}": {enters}'
    ]
    assert said(directory=str(private), user="nobody") == [
        f'directory: cannot enter the directory "{private}": {enters}'
    ]
    private.chmod(0o755)
    program.chmod(0o744)
    assert said(command=(str(program),), user="nobody") == [
        f'command: cannot run "{program}": the user "nobody" may not run "{program}"'
    ]
    program.chmod(0o755)
    assert said(command=(str(program),), user="nobody", directory=str(private)) == []
    assert said(command=(str(program),), user="root") == []


@as_root
def test_who_gives_up_root_can_become_nobody_else(public: Path) -> None:
    """And reads files as who it will be."""
    hidden = public / "web.env"
    hidden.write_text("A=1\n")
    hidden.chmod(0o600)
    program = PROGRAM._replace(user="root", env_file=(EnvFile(str(hidden)),))
    texts = [
        about.text
        for _, about in Preflight(ENVIRONMENT, "nobody").look(program)
        if isinstance(about, SpawnFailure)
    ]
    uid = pwd.getpwnam("nobody").pw_uid
    assert texts == [
        f'cannot read the env_file "{hidden}": Permission denied',
        'cannot become the user "root": Operation not permitted: only root can, and the daemon is '
        f"uid {uid}; start it as root, or leave user out",
    ]
    assert Preflight(ENVIRONMENT, "nobody").look(PROGRAM._replace(user="nobody")) == ()


def test_the_mode_and_the_groups_decide(public: Path) -> None:
    user = find_user("nobody")._replace(uid=70001, gid=70002, groups=(70002, os.getegid()))
    path = public / "x"
    path.touch()
    for mode, wanted, allowed in (
        (0o010, EXECUTE, True),
        (0o040, EXECUTE, False),
        (0o001, EXECUTE, False),
        (0o040, READ, True),
    ):
        path.chmod(mode)
        assert (obstacle(str(path), user, wanted) == "") is allowed
    path.chmod(0)
    assert obstacle(str(path), user._replace(uid=0), READ) == ""
    assert obstacle(str(path), user._replace(uid=0), EXECUTE) == str(path)
    assert obstacle(str(public), user, ENTER) == ""


def test_a_capability_is_as_good_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for effective, able in (("0000000000000080", True), ("0000000000000000", False)):
        monkeypatch.setattr(users, "read_value", lambda _, e=effective: f"Name:\tx\nCapEff:\t{e}\n")
        assert users.can_become_others(1000) is able
    assert not users.can_become_others(1001)
    assert "uid 1000" in users.not_root_hint()


def test_why_a_file_may_not_be_run_is_named(public: Path) -> None:
    error = exec_failure(OSError(13, "Permission denied"), str(public))
    assert isinstance(error, SpawnError)
    assert str(error) == f'cannot run "{public}": Permission denied'
