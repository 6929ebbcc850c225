"""slctl passwd: a user of the gateway for the configuration."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import pytest
import tomli

from supervisor_lite.passwords import matches
from tests.client import environment_of
from tests.ctl.conftest import Slctl


def test_it_prints_a_table_for_the_configuration(
    slctl: Slctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("pässwörd\n"))
    code, out, err = slctl("passwd", 'depl"oy', "--role", "operate")
    assert (code, err) == (0, "")
    (user,) = tomli.loads(out)["gateway"]["users"]
    assert (user["name"], user["role"]) == ('depl"oy', "operate")
    assert matches("pässwörd", user["password_hash"])


@pytest.mark.parametrize(("words", "said"), [
    ((), "it needs the name"), (("a", "b"), 'cannot use "b" here'), (("a:b",), "has no colon"),
    (("a", "--role", "root"), "--role is one of view, operate, admin"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(slctl: Slctl, words: tuple[str, ...], said: str) -> None:
    code, out, err = slctl("passwd", *words)
    assert (code, out) == (2, "")
    assert said.lower() in err.lower()


def test_an_empty_password_is_refused(slctl: Slctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert slctl("passwd", "a") == (1, "", "slctl: the password is empty\n")
    monkeypatch.setattr(sys, "stdin", None)  # closed
    assert slctl("passwd", "a") == (1, "", "slctl: the password is empty\n")


@pytest.mark.parametrize(("second", "code"), [("secret", 0), ("sceret", 1)])
def test_on_a_terminal_it_asks_twice_and_shows_nothing(second: str, code: int) -> None:
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "supervisor_lite.ctl.main", "passwd", "deploy"],
            stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            env=environment_of("passwd"),
        ) as client:  # fmt: skip
            assert client.stderr is not None
            for password in ("secret", second):
                said = b""
                while not said.endswith(b": "):  # what is typed before is thrown away
                    piece = os.read(client.stderr.fileno(), 64)
                    assert piece, said
                    said += piece
                os.write(ours, f"{password}\n".encode())
            out, err = client.communicate(timeout=30)
    finally:
        os.close(ours)
        os.close(theirs)
    assert client.returncode == code
    assert b"secret" not in out + err
    assert (b"password_hash" in out) == (code == 0)
    assert (b"not the same" in err) == (code == 1)
