"""The [gateway] table: what its keys take."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor_lite.config.load import load, load_gateway
from supervisor_lite.config.types.gateway import address, host_name
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.errors import ConfigError
from supervisor_lite.passwords import make_hash

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
