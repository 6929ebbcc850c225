"""The [gateway] table: what its keys take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor_lite import extras
from supervisor_lite.config.definition import needs_new_child
from supervisor_lite.config.load import load, load_gateway
from supervisor_lite.config.own_gateway import runs_gateway
from supervisor_lite.config.types.gateway import address, host_name
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.errors import ConfigError
from supervisor_lite.passwords import make_hash
from supervisor_lite.users import find_user

HASH = make_hash("x", 10)


@pytest.mark.parametrize(("written", "meant"), [
    ("unix:///run/x//http.sock", "unix:///run/x/http.sock"), ("http://:9001", "http://127.0.0.1:9001"),
    ("http://*:9001", "http://[::]:9001"), ("http://LocalHost:1/", "http://localhost:1"),
    ("http://[::1]:9001", "http://[::1]:9001"), (" http://10.0.0.1:80 ", "http://10.0.0.1:80"),
])  # fmt: skip
def test_an_address_has_one_form(written: str, meant: str) -> None:
    assert address(written) == meant


@pytest.mark.parametrize("written", [
    "", "9001", "unix://x", "unix://", "unix:///", "unix:///a/", "http://", "http://x", "http://x:0",
    "http://x:99999", "http://x:y", "https://x:1", "ftp://x:1", "http://x:1/path", "http://u@x:1",
    "http://a b:1", "unix:///" + "x" * 107, "http://[::1:5",
])  # fmt: skip
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(BadValueError):
        address(written)


def test_a_host_is_a_name_without_port() -> None:
    assert host_name("Super.Example") == "super.example"
    for written in ("a:1", "http://a", "", "a b", "-a"):
        with pytest.raises(BadValueError):
            host_name(written)


def write(folder: Path, table: str, rest: str = "") -> str:
    path = folder / "supervisor.toml"
    dirs = "".join(f'{n}_dir = "{folder}/{n}"\n' for n in ("runtime", "state", "log"))
    path.write_text(f"[daemon]\n{dirs}\n{rest}\n[gateway]\n{table}\n")
    return str(path)


def test_the_daemon_and_the_gateway_read_the_same(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"""
        listen = ["http://127.0.0.1:9001", "unix://%(here)s/http.sock"]
        socket_mode = "660"
        hosts = ["super.example"]
        [[gateway.users]]
        name = "deploy"
        password_hash = "{HASH}"
        role = "operate"
        [[gateway.users]]
        name = "look"
        password_hash = "{HASH}"
    """,
    )
    settings = load(path, {}).gateway
    assert settings == load_gateway(path)
    assert settings is not None
    assert settings.socket_mode == 0o660
    assert [(user.name, user.role) for user in settings.users] == [
        ("deploy", "operate"), ("look", "view")
    ]  # fmt: skip
    assert settings.server_url == f"unix://{tmp_path}/http.sock"


def test_the_gateway_does_not_need_what_the_programs_need(tmp_path: Path) -> None:
    rest = '[program.x]\ncommand = "x"\nuser = "no-such-user"\nstdout_logfile = "/no/such/dir/x"'
    path = write(tmp_path, 'listen = ["unix:///x.sock"]', rest)
    with pytest.raises(ConfigError):
        load(path, {})
    assert load_gateway(path) is not None


def test_without_a_table_there_is_no_gateway(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.toml"
    path.write_text("")
    assert load_gateway(str(path)) is None


def test_a_directory_may_hold_the_table(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[program.x]\ncommand = "x"\n')
    (tmp_path / "b.toml").write_text('[gateway]\nlisten = ["unix:///x.sock"]\n')
    found = load_gateway(str(tmp_path))
    assert found is not None
    assert found.listen == ("unix:///x.sock",)


def test_every_mistake_is_told_with_its_line_and_no_secret(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"""
        listen = ["http://127.0.0.1:9001"]
        hosts = ["a:1"]
        users = [{{ name = "a", password_hash = "{HASH}" }},
                 {{ name = "a", password_hash = "{HASH}" }},
                 {{ name = "b:c", password_hash = "{HASH}" }},
                 {{ name = "b", password_hash = "hunter2" }}]
        socket_role = "root"
    """.replace("\n                 ", " "),
    )
    with pytest.raises(ConfigError) as caught:
        load_gateway(path)
    said = [str(complaint) for complaint in caught.value.diagnostics]
    assert len(said) == 4
    assert all("supervisor.toml:" in text for text in said)
    assert "hunter2" not in str(caught.value)
    assert "has no colon" in str(caught.value)


LISTEN = 'listen = ["unix:///x.sock"]\n'
OTHERS = {
    "its name": '[program.gateway]\ncommand = "supervisor-lite-gateway"\n',
    "its command": '[program.http]\ncommand = ["/opt/x/bin/supervisor-lite-gateway", "-c", "x"]\n',
    "a shell": "[program.http]\ncommand = \"sh -c 'exec supervisor-lite-gateway -c x'\"\n",
}


def test_the_daemon_runs_a_gateway_by_itself(tmp_path: Path) -> None:
    found = load(write(tmp_path, LISTEN, '[program.web]\ncommand = "x"\n'))
    (own,) = found.plan.groups["gateway"].processes
    assert (own.fullname, own.internal, own.autostart) == ("gateway", True, True)
    assert own.startretries > 1000  # never FATAL
    assert runs_gateway(own)
    assert load(write(tmp_path, LISTEN)).plan.groups["gateway"].processes == (own,)
    other = load(write(tmp_path, f'{LISTEN}socket_role = "view"\n'))
    assert needs_new_child(own, other.plan.groups["gateway"].processes[0])
    late = load(write(tmp_path, f"{LISTEN}autostart = false\n"))
    assert late.plan.groups["gateway"].processes[0].autostart is False


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_gateway_that_somebody_runs_stays_the_one(tmp_path: Path, other: str) -> None:
    found = load(write(tmp_path, LISTEN, other))
    assert found.warnings == ()
    (program,) = found.plan.processes()
    assert program.internal is False
    changed = load(write(tmp_path, f'{LISTEN}socket_role = "view"\n', other))
    assert needs_new_child(program, next(changed.plan.processes()))


@pytest.mark.parametrize("other", [
    '[program.gateway]\ncommand = "node api.js"\n', "[group.gateway]\nprograms = []\n",
])  # fmt: skip
def test_a_program_with_its_name_stays_what_it_is(tmp_path: Path, other: str) -> None:
    found = load(write(tmp_path, LISTEN, other))
    assert not any(program.internal for program in found.plan.processes())
    assert any("gateway: nothing serves it" in text for text in found.warnings)


def test_a_missing_extra_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "_NEEDED", {"gateway": ("no_such_module",)})
    (text,) = load(write(tmp_path, LISTEN)).warnings
    assert text.startswith(f"{tmp_path}/supervisor.toml:")
    assert "gateway: cannot be served: no_such_module is not installed; run: " in text
    assert "-m pip install 'supervisor-lite[gateway]'" in text
    assert load(write(tmp_path, f"{LISTEN}autostart = false\n")).warnings == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's gateway becomes somebody else")
def test_the_control_socket_is_opened_for_roots_gateway(tmp_path: Path) -> None:
    path = write(tmp_path, f'{LISTEN}user = "nobody"\n')
    found = load(path)
    assert found.settings.gateway_group == find_user("nobody").gid
    assert "--user" in found.plan.groups["gateway"].processes[0].command

    def warnings(settings: str) -> tuple[str, ...]:
        Path(path).write_text(f'[daemon]\n{settings}\n[gateway]\nuser = "nobody"\n{LISTEN}')
        found = load(path)
        assert found.settings.gateway_group is None
        return found.warnings

    (text,) = warnings('socket_mode = "660"')
    assert "daemon.socket_mode: does not let nobody in" in text
    assert warnings('socket_mode = "666"') == ()
    assert warnings(f'socket_mode = "660"\nsocket_group = "{find_user("nobody").gid}"') == ()
