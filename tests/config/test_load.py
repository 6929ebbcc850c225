"""Files: finding, reading, including and merging them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor_lite.config.load import load, load_gateway
from supervisor_lite.errors import ConfigError
from tests.config.conftest import Folder, unprivileged

ROOT = Path(__file__).parents[2]
WEB = '[program.web]\ncommand = "x"\n'


def names(folder: Folder, text: str | None = None, path: str = "supervisor.toml") -> list[str]:
    return [process.fullname for process in folder.load(text, path).plan.processes()]


def test_an_empty_file_is_a_configuration(folder: Folder) -> None:
    configuration = folder.load("")
    assert list(configuration.plan.processes()) == []
    assert configuration.files == (str(folder.path / "supervisor.toml"),)
    assert configuration.warnings == ()


def test_files_of_conf_d_are_included_by_default_in_order(folder: Folder) -> None:
    folder.write("conf.d/b.toml", '[program.b]\ncommand = "x"\n')
    folder.write("conf.d/a.toml", '[program.a]\ncommand = "x"\n')
    folder.write("conf.d/.hidden.toml", "not TOML")
    folder.write("conf.d/c.txt", "not TOML")
    configuration = folder.load(WEB)
    assert [p.name for p in configuration.plan.processes()] == ["a", "b", "web"]
    assert configuration.files == tuple(
        str(folder.path / name) for name in ("supervisor.toml", "conf.d/a.toml", "conf.d/b.toml")
    )


def test_a_directory_is_read_from_its_main_file(folder: Folder) -> None:
    """What `slctl import -o DIR` makes is the same by its file and by its directory."""
    folder.write("etc/supervisor.toml", WEB)
    folder.write("etc/conf.d/a.toml", '[program.a]\ncommand = "x"\n')
    assert names(folder, path="etc") == names(folder, path="etc/supervisor.toml") == ["a", "web"]
    folder.write("etc/other.toml", '[program.other]\ncommand = "x"\n')
    configuration = load("etc", {})
    assert [p.name for p in configuration.plan.processes()] == ["a", "web"]
    (warning,) = configuration.warnings
    assert warning == (
        "etc/other.toml: is not read: supervisor.toml beside it is the main file, and includes it"
        " nowhere"
    )
    assert load("etc/supervisor.toml", {}).warnings == ()
    folder.write("etc/supervisor.toml", '[daemon]\ninclude = ["*.toml"]\n')
    assert names(folder, path="etc") == ["other"]
    (folder.path / "etc/supervisor.toml").unlink()
    assert names(folder, path="etc/") == ["other"]


def test_the_gateway_of_a_directory_is_that_of_its_main_file(folder: Folder) -> None:
    text = '[gateway]\nlisten = ["unix:///run/{}.sock"]\n'
    folder.write("etc/a.toml", text.format("a"))
    assert load_gateway("etc") == load_gateway("etc/a.toml") is not None
    folder.write("etc/supervisor.toml", text.format("main"))
    assert load_gateway("etc") == load_gateway("etc/supervisor.toml") != load_gateway("etc/a.toml")


def test_includes_are_relative_to_the_main_file(folder: Folder) -> None:
    folder.write("etc/main.toml", '[daemon]\ninclude = ["more/*.toml", "/%(here)s/one.toml"]\n')
    folder.write("etc/more/web.toml", WEB)
    folder.write("etc/one.toml", '[program.one]\ncommand = "x"\n')
    folder.write("etc/conf.d/unread.toml", '[program.unread]\ncommand = "x"\n')
    assert names(folder, path="etc/main.toml") == ["one", "web"]


def test_a_file_that_two_patterns_match_is_read_once(folder: Folder) -> None:
    folder.write("web.toml", WEB)
    text = '[daemon]\ninclude = ["*.toml", "web.toml", "w*.toml"]\n'
    assert names(folder, text) == ["web"]


def test_a_pattern_without_match_is_a_warning_only_if_it_was_written(folder: Folder) -> None:
    assert folder.load("").warnings == ()
    text = '[daemon]\ninclude = [\n  "conf.d/*.toml",\n]\n'
    (warning,) = folder.load(text).warnings
    assert warning == 'supervisor.toml:3: daemon.include: "conf.d/*.toml" matches no file'


def test_an_include_that_cannot_be_read_is_wrong(folder: Folder) -> None:
    (folder.path / "dir.toml").mkdir()
    text = '[daemon]\ninclude = ["missing.toml", "d*.toml"]\n'
    assert folder.complaints(text) == [
        "supervisor.toml:2: daemon.include: cannot read missing.toml: No such file or directory",
        "dir.toml: cannot read it: Is a directory",
    ]


@pytest.mark.parametrize("path", ["conf.d/fifo.toml", "fifo.toml"])
def test_what_is_no_file_is_wrong_and_keeps_nobody_waiting(folder: Folder, path: str) -> None:
    """A FIFO has no end while nobody writes, and other devices have none at all."""
    (folder.path / "conf.d").mkdir()
    os.mkfifo(folder.path / path)
    main = folder.write("supervisor.toml", '[daemon]\ninclude = ["/dev/zero", "conf.d/*.toml"]\n')
    if path == "fifo.toml":
        main.unlink()
        main.symlink_to("fifo.toml")
        assert folder.complaints() == ["supervisor.toml: cannot read it: it is no regular file"]
    else:
        assert folder.complaints() == [
            "/dev/zero: cannot read it: it is no regular file",
            f"{path}: cannot read it: it is no regular file",
        ]


def test_the_empty_device_is_an_empty_file(folder: Folder) -> None:
    assert names(folder, path="/dev/null") == []


def test_files_without_permission_are_wrong(public: Folder) -> None:
    folder = public
    folder.write("conf.d/secret.toml", WEB).chmod(0)
    folder.write("supervisor.toml", "")
    with unprivileged():
        assert folder.complaints() == [
            "conf.d/secret.toml: cannot read it: Permission denied",
        ]


def test_a_directory_without_permission_is_wrong(public: Folder) -> None:
    folder = public
    folder.write("conf.d/secret.toml", WEB)
    (folder.path / "conf.d").chmod(0)
    folder.write("supervisor.toml", "")
    try:
        with unprivileged():
            assert folder.complaints() == ["conf.d: cannot read it: permission denied"]
    finally:
        (folder.path / "conf.d").chmod(0o755)


def test_a_directory_is_read_in_the_order_of_names(folder: Folder) -> None:
    folder.write("etc/b.toml", '[daemon]\nidentifier = "me"\nlog_dir = "log"\n')
    folder.write("etc/a.toml", WEB)
    folder.write("etc/conf.d/x.toml", '[program.unread]\ncommand = "x"\n')
    configuration = folder.load(path="etc")
    assert configuration.settings.identifier == "me"
    assert configuration.settings.log_dir == str(folder.path / "etc/log")
    assert [Path(file).name for file in configuration.files] == ["b.toml", "a.toml"]
    assert [p.name for p in configuration.plan.processes()] == ["web"]


def test_a_directory_includes_only_what_it_says(folder: Folder) -> None:
    folder.write("etc/a.toml", '[daemon]\ninclude = ["conf.d/*.toml", "*.toml"]\n')
    folder.write("etc/conf.d/web.toml", WEB)
    assert names(folder, path="etc") == ["web"]


def test_in_a_directory_one_file_has_the_daemon(folder: Folder) -> None:
    folder.write("etc/a.toml", "[daemon]\n")
    folder.write("etc/b.toml", "\n[daemon]\n")
    assert folder.complaints(path="etc") == [
        "etc/b.toml:2: daemon: is defined twice, first at etc/a.toml:1; one file may have it"
    ]


def test_an_empty_directory_is_wrong(folder: Folder) -> None:
    (folder.path / "etc").mkdir()
    assert folder.complaints(path="etc") == ["etc: there is no *.toml file in this directory"]


def test_a_missing_file_is_wrong_and_nothing_beside_it_is_read(folder: Folder) -> None:
    folder.write("conf.d/broken.toml", "x")
    assert folder.complaints(path="none.toml") == [
        "none.toml: cannot read it: No such file or directory"
    ]


def test_without_a_path_the_usual_places_are_searched(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.path / "xdg"))
    folder.write("xdg/supervisor-lite/supervisor.toml", WEB)
    assert [p.name for p in load(None).plan.processes()] == ["web"]
    folder.write("supervisor.toml", '[program.here]\ncommand = "x"\n')
    assert [p.name for p in load().plan.processes()] == ["here"]


def test_finding_nothing_names_the_places_and_what_to_write(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.path / "xdg"))
    if os.path.exists("/etc/supervisor-lite/supervisor.toml"):
        pytest.skip("this machine has a configuration")
    with pytest.raises(ConfigError) as caught:
        load(None)
    text = str(caught.value)
    assert text.startswith(f"{folder.path}/supervisor.toml: there is no such file, nor ")
    assert f"{folder.path}/xdg/supervisor-lite/supervisor.toml" in text
    assert "nor /etc/supervisor-lite/supervisor.toml; name one with -c" in text
    assert text.endswith('[program.web]\n  command = "python3 -m http.server 8000"')


def test_a_byte_order_mark_is_no_mistake(folder: Folder) -> None:
    assert names(folder, "\ufeff" + WEB) == ["web"]


def test_windows_line_ends_are_no_mistake(folder: Folder) -> None:
    text = (WEB + 'oops = "x"\n').replace("\n", "\r\n")
    assert folder.complaints(text) == ["supervisor.toml:3: program.web.oops: unknown key"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"a = 1\nb = '\xe9'\n", "supervisor.toml:2: column 6: not UTF-8 (byte 0xe9)"),
        (b'[program.web]\ncommand = "x\n', "supervisor.toml:2: column 13: Illegal character"),
        (b'[program.web]\ncommand = "x\n', "; the closing quote is missing"),
        (b"[program:web]\n", "write [program.web]"),
        (b"[group:a.b]\n", 'write [group."a.b"]'),
        (b"[daemon]\numask = 022\n", "supervisor.toml:2: column "),
        (b"[daemon]\nlog_level = info\n", "; put text in quotes"),
        (b"[daemon]\n; comment\n", '; comments begin with "#"'),
        (
            b"[program.a]\n[ program.b ]\n[program.a] # again\n",
            "supervisor.toml:3: program.a: is defined twice, first at supervisor.toml:1",
        ),
        (
            b"[program.a]\npriority = 1\n[daemon]\nminfds= 1\n minfds =2\n",
            "supervisor.toml:5: daemon.minfds: is set twice, first at supervisor.toml:4",
        ),
        (b"[a]\nx = 1\n[b]\nx = 1\nx.y = 2\n", "supervisor.toml:5: column "),
        (b"[a]\nx = 1\n[a.x]\n", "supervisor.toml:3: column "),
        (b"a = " + b"[" * 5000, "nested more than"),
        (b"a = 1" + b"0" * 5000, "Exceeds the limit"),
        (b"a = [1,", "supervisor.toml:1: column 8: "),
    ],
)
def test_bad_toml_is_named_with_line_and_column(
    folder: Folder, text: bytes, complaint: str
) -> None:
    (found,) = folder.complaints(text)
    assert found.startswith("supervisor.toml:")
    assert complaint in found


def test_all_complaints_of_all_files_come_at_once_in_order(folder: Folder) -> None:
    folder.write("conf.d/b.toml", "[program.b]\ncommand = 'x'\nuser = 'nobdy-at-all'\nfoo = 1\n")
    folder.write("conf.d/a.toml", "[broken\n")
    text = "[program.web]\nautorestrat = true\nautostart = 'yes'\nstopsignal = 'TREM'\nx = 1\n"
    places = [complaint.split(" ")[0] for complaint in folder.complaints(text)]
    assert places == [
        "supervisor.toml:1:",
        "supervisor.toml:2:",
        "supervisor.toml:3:",
        "supervisor.toml:4:",
        "supervisor.toml:5:",
        "conf.d/a.toml:1:",
        "conf.d/b.toml:3:",
        "conf.d/b.toml:4:",
    ]


def test_a_broken_file_does_not_make_its_programs_unknown(folder: Folder) -> None:
    folder.write("conf.d/web.toml", WEB + "oops\n")
    (complaint,) = folder.complaints('[group.site]\nprograms = ["web"]\n')
    assert complaint.startswith("conf.d/web.toml:3: column 5:")


def test_the_same_name_in_two_files_names_both(folder: Folder) -> None:
    folder.write("conf.d/a.toml", "\n" + WEB + '[group.g]\nprograms = ["web"]\n')
    folder.write("conf.d/b.toml", WEB + '[group.g]\nprograms = ["web"]\n')
    assert folder.complaints("") == [
        "conf.d/b.toml:1: program.web: is defined twice, first at conf.d/a.toml:2",
        "conf.d/b.toml:3: group.g: is defined twice, first at conf.d/a.toml:4",
    ]


def test_the_daemon_stands_in_the_main_file(folder: Folder) -> None:
    folder.write("conf.d/a.toml", "# mine\n[daemon]\nlog_level = 'debug'\n")
    assert folder.complaints("") == [
        "conf.d/a.toml:2: daemon: belongs into the main file, supervisor.toml"
    ]


def test_access_rules_of_all_files_are_joined(folder: Folder) -> None:
    folder.write("conf.d/a.toml", '[[access]]\nrole = "admin"\nusers = [0]\n')
    text = '[[access]]\nrole = "view"\nusers = ["root"]\nprograms = ["web*"]\n'
    first, second = folder.load(text).settings.access
    assert (first.role, first.users, first.groups, first.programs) == (
        "view",
        ("root",),
        (),
        ("web*",),
    )
    assert (second.role, second.users, second.programs) == ("admin", ("0",), ("*",))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose")
def test_files_that_others_may_write_are_warned_about(folder: Folder) -> None:
    folder.write("supervisor.toml", "")
    assert folder.load().warnings == ()
    (folder.path / "supervisor.toml").chmod(0o666)
    folder.path.chmod(0o777)
    text = ": others than root may write it, and so become root"
    assert folder.load().warnings == (
        f"{folder.path}/supervisor.toml{text}",
        f"{folder.path}{text}",
    )


def test_what_only_a_diagnostic_needs_is_not_loaded(tmp_path: Path) -> None:
    """The daemon reads its configuration at every start, and mostly there is nothing wrong."""
    (tmp_path / "supervisor.toml").write_text(
        '[program.web]\ncommand = "x"\nstdout_logfile = "none"\nstopwaitsecs = "1m"\n'
    )
    code = (
        "import sys; from supervisor_lite.config.load import load; load('supervisor.toml');"
        "print(*sys.modules)"
    )
    # Not measured by coverage, which loads modules of its own into every process.
    unmeasured = {n: v for n, v in os.environ.items() if not n.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env={**unmeasured, "PYTHONPATH": str(ROOT)}, check=True, timeout=60,
        capture_output=True, text=True,
    )  # fmt: skip
    ours = "supervisor_lite.config."
    needless = {
        f"{ours}lines", f"{ours}syntax", f"{ours}schema.elsewhere", f"{ours}schema.json_schema",
        f"{ours}schema.reference", "supervisor_lite.passwords", "dataclasses", "difflib",
        "inspect", "ipaddress", "json", "urllib.parse",
    }  # fmt: skip
    assert needless.isdisjoint(done.stdout.split())
