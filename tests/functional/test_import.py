"""`slctl import`: what the command does; and the examples of the guides."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

import pytest
import tomli

from supervisor_lite.config.load import load
from tests.client import ROOT, environment_of, slctl_command

CONF = "[supervisord]\nloglevel=warn\n[program:web]\ncommand=sleep 1\n"
PLUGIN = "[rpcinterface:x]\nsupervisor.rpcinterface_factory=a:b\n"


def slctl(*args: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*slctl_command(), *args], cwd=cwd, env=environment_of("client"), timeout=60,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done
    return done


# the command


def test_without_a_directory_the_result_goes_to_stdout(tmp_path: Path) -> None:
    (tmp_path / "supervisord.conf").write_text(CONF)
    done = slctl("import", "supervisord.conf", cwd=tmp_path)
    assert tomli.loads(done.stdout)["daemon"] == {"log_level": "warning"}
    assert done.stderr.splitlines()[-1] == "no things will be different from Supervisor; 1 note"
    assert [path.name for path in tmp_path.iterdir()] == ["supervisord.conf"]


def test_a_directory_is_written_and_never_overwritten(tmp_path: Path) -> None:
    """What is written passes the check of the daemon."""
    (tmp_path / "supervisord.conf").write_text(CONF + "[include]\nfiles=more.ini\n")
    (tmp_path / "more.ini").write_text("[program:more]\ncommand=sleep 1\n")
    done = slctl("import", "supervisord.conf", "-o", "new/dir", "--strict", cwd=tmp_path)
    assert done.stdout.split() == ["new/dir/supervisor.toml", "new/dir/conf.d/more.toml"]
    slctl("check", "new/dir/supervisor.toml", cwd=tmp_path)
    before = (tmp_path / "new/dir/supervisor.toml").read_bytes()
    again = slctl("import", "-o", "new/dir", "supervisord.conf", cwd=tmp_path, code=1)
    assert "new/dir/supervisor.toml exists already; nothing was written" in again.stderr
    (tmp_path / "new/dir/supervisor.toml").unlink()
    again = slctl("import", "-o", "new/dir", "supervisord.conf", cwd=tmp_path, code=1)
    assert "new/dir/conf.d/more.toml exists already" in again.stderr
    (tmp_path / "new/dir/conf.d/more.toml").rename(tmp_path / "new/dir/conf.d/foreign.toml")
    again = slctl("import", "-o", "new/dir", "supervisord.conf", cwd=tmp_path, code=1)
    assert "new/dir/conf.d/foreign.toml exists already" in again.stderr
    assert not (tmp_path / "new/dir/supervisor.toml").exists()
    assert b"[program.web]" in before


def test_strict_is_about_what_will_be_different(tmp_path: Path) -> None:
    (tmp_path / "supervisord.conf").write_text(CONF + "unknown=1\n")
    slctl("import", "supervisord.conf", "--strict", cwd=tmp_path)
    (tmp_path / "supervisord.conf").write_text(CONF + PLUGIN)
    slctl("import", "supervisord.conf", cwd=tmp_path)
    done = slctl("import", "supervisord.conf", "--strict", cwd=tmp_path, code=1)
    assert "supervisord.conf:5: [rpcinterface:x]: " in done.stderr
    assert "[program.web]" in done.stdout


def test_what_the_machine_lacks_is_told(tmp_path: Path) -> None:
    """The file is written all the same: it may be meant for another machine."""
    (tmp_path / "supervisord.conf").write_text(CONF + "user=nobody-knows-me\n")
    done = slctl("import", "supervisord.conf", "-o", "out", cwd=tmp_path)
    assert ": program.web.user: expected a user of this" in done.stderr
    assert (tmp_path / "out/supervisor.toml").exists()


def test_what_check_refuses_is_counted_and_grouped(tmp_path: Path) -> None:
    """Twenty programs in one missing directory: one thing to do. The same without a directory."""
    text = CONF + "".join(
        f"[program:p{number}]\ncommand=x\nstdout_logfile=/no/such/{number}.log\n"
        for number in range(20)
    )
    (tmp_path / "supervisord.conf").write_text(text)
    for out, place in ((["-o", "out"], "out/"), ([], "")):
        arguments = ["import", "supervisord.conf", *out]
        done = slctl(*arguments, cwd=tmp_path)
        found = [line for line in done.stderr.splitlines() if "/no/such" in line]
        assert len(found) == 1, done.stderr
        assert re.fullmatch(
            re.escape(place)
            + r"supervisor\.toml:\d+: to do: program\.p0\.stdout_logfile: there is no"
            r" directory /no/such \(also at \S*supervisor\.toml:\d+, (\d+, ){4}\d+ and 13 more\)",
            found[0],
        ), found
        assert done.stderr.splitlines()[-1] == "1 thing to do; 1 note"
    slctl("import", "supervisord.conf", "--strict", cwd=tmp_path, code=1)
    (tmp_path / "supervisord.conf").write_text(text.replace("/no/such", str(tmp_path)))
    done = slctl("import", "supervisord.conf", "--strict", cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == "no things will be different from Supervisor; 1 note"


def test_all_missing_variables_are_named(tmp_path: Path) -> None:
    text = CONF + "directory=/%(ENV_GONE_A)s/%(ENV_GONE_B)s\nuser=%(ENV_GONE_C)s\n"
    (tmp_path / "supervisord.conf").write_text(text)
    done = slctl("import", "supervisord.conf", "-o", "out", cwd=tmp_path)
    for name in "ABC":
        assert f'no environment variable "GONE_{name}"' in done.stderr
    assert "; 2 things to do; " in done.stderr
    (tmp_path / "supervisord.conf").write_text("[include]\nfiles=%(ENV_GONE_A)s/%(ENV_GONE_B)s\n")
    done = slctl("import", "supervisord.conf", cwd=tmp_path, code=2)
    assert 'variable "GONE_A"' in done.stderr
    assert 'variable "GONE_B"' in done.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[program.web]\ncommand = "x"\n', "but a configuration of supervisor-lite"),
        ('[[access]]\nrole = "view"\n[daemon]\n', "but a configuration of supervisor-lite"),
        ("[Unit]\nDescription=x\n[Service]\nExecStart=x\n", "but a unit of systemd"),
        ("[PHP]\nengine=On\n", "no supervisord.conf: it has none of its sections"),
        ("", "no supervisord.conf: it has none of its sections"),
        ("# nothing\n", "no supervisord.conf: it has none of its sections"),
        ("services:\n  web: x\n", "stands before the first [section]"),
    ],
)
def test_what_is_no_supervisord_conf_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "other.conf").write_text(text)
    done = slctl("import", "other.conf", "-o", "out", cwd=tmp_path, code=2)
    assert why in done.stderr
    assert not (tmp_path / "out").exists()


SECRETS = """
[unix_http_server]
file={dir}/s
username=hunter2
password=%(ENV_X)s hunter2
[inet_http_server]
port=1:hunter2
username=a
password={{SHA}}hunter2
[program:a]
command=x --password="a ;hunter2"
environment=A=hunter2 hunter2,B="hunter2"
[program:b]
command=x
environment=A=hunter2@hunter2
directory=/tmp
hunter2=x
c_hunter2:x=1
[program:c]
command=x --token=%(hunter2
environment=A=1#hunter2,B=hunter2 hunter2
[eventlistener:d]
command=x hunter2
events=TICK_5
environment=A="hunter2
"""


def test_no_piece_of_a_secret_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "supervisord.conf"
    path.write_text(CONF + SECRETS.format(dir=tmp_path))
    done = slctl("import", "supervisord.conf", cwd=tmp_path)
    assert len(done.stderr.splitlines()) > 8
    assert "hunter2" not in done.stderr
    path.write_text(CONF + "environment=A=1,\nhunter2 hunter2\n")
    done = slctl("import", "supervisord.conf", cwd=tmp_path, code=2)
    assert "supervisord.conf:6: neither" in done.stderr
    assert "hunter2" not in done.stderr


def test_secrets_stay_as_secret_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "supervisord.conf"
    path.write_text(CONF + "environment=PASSWORD=x\n")
    for mode in (0o600, 0o640, 0o644):
        path.chmod(mode)
        slctl("import", "supervisord.conf", "-o", f"out{mode}", cwd=tmp_path)
        written = tmp_path / f"out{mode}" / "supervisor.toml"
        assert stat.S_IMODE(written.stat().st_mode) == mode


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import"], "needs the path of a supervisord.conf"),
        (["import", "a", "b"], 'cannot use "b" here'),
        (["import", "gone.conf"], "gone.conf: cannot read it"),
        (["import", "bad.conf"], "bad.conf:2: neither key=value nor [section]: "),
        (["import", "--nope", "a"], "there is no option --nope"),
    ],
)
def test_wrong_usage_is_2(tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "bad.conf").write_text("[program:x]\nnonsense\n")
    done = slctl(*arguments, cwd=tmp_path, code=2)
    assert words in done.stderr
    assert not done.stdout


def test_a_directory_that_cannot_be_made_is_1(tmp_path: Path) -> None:
    (tmp_path / "supervisord.conf").write_text(CONF)
    done = slctl("import", "supervisord.conf", "-o", "supervisord.conf/x", cwd=tmp_path, code=1)
    assert "cannot write supervisord.conf/x" in done.stderr


@pytest.mark.parametrize("page", ["from-pm2", "from-nohup"])
def test_the_examples_of_the_guides_are_valid(page: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        (tmp_path / "supervisor.toml").write_text(block)
        assert load(str(tmp_path / "supervisor.toml"), {}).plan.groups
        assert not load(str(tmp_path / "supervisor.toml"), {}).warnings
