"""A changed configuration: what is touched, and what is not."""

from __future__ import annotations

import os
import signal

import pytest

from tests.client import CallError
from tests.programs import SLEEPER, TERM_IGNORER, program, sh, stamper
from tests.support import Daemons, alive, wait_until

NUMBERED = "%(program_name)s_%(process_num)d"
WEB, DB, CACHE = (program(name, SLEEPER, startsecs=0) for name in ("web", "db", "cache"))


def changed(name: str, **options: object) -> str:
    """Return a definition that needs another process than before."""
    return program(name, SLEEPER, environment={"CHANGED": "1"}, startsecs=0, **options)


def test_reread_only_tells(daemons: Daemons) -> None:
    """It shows what update would do, as often as asked, and touches nothing."""
    daemon = daemons(WEB + DB + CACHE)
    before = daemon.wait_running("web", "db", "cache")
    assert daemon.ctl("reread").stdout == "No config updates to processes\n"
    daemon.configure(WEB + changed("db") + program("new", SLEEPER))
    for _ in range(2):
        assert daemon.ctl("reread").stdout.splitlines() == [
            "cache: disappeared",
            "db: changed",
            "new: available",
        ]
    assert daemon.wait_running("web", "db", "cache") == before
    assert "new" not in daemon.states()
    assert daemon.status("db")["stale"] is True
    assert daemon.status("web")["stale"] is False


def test_update_touches_only_what_changed(daemons: Daemons) -> None:
    """Added programs start, removed ones stop, changed ones restart; the others keep their pid."""
    daemon = daemons(WEB + DB + CACHE)
    before = daemon.wait_running("web", "db", "cache")
    daemon.configure(WEB + changed("db") + program("new", SLEEPER))
    done = daemon.ctl("update")
    assert "new: added process group" in done.stdout
    assert "db: updated process group" in done.stdout
    assert "cache: removed process group" in done.stdout
    after = daemon.wait_running("web", "db", "new")
    assert after["web"] == before["web"]
    assert after["db"] != before["db"]
    assert not alive(before["cache"])
    assert sorted(daemon.states()) == ["db", "new", "web"]
    assert daemon.ctl("update").stdout == ""
    assert daemon.wait_running("web", "db", "new") == after


def test_update_of_named_groups_only(daemons: Daemons) -> None:
    """The rest waits for its own update."""
    daemon = daemons(WEB + DB)
    before = daemon.wait_running("web", "db")
    daemon.configure(changed("web") + changed("db"))
    daemon.ctl("update", "web")
    after = daemon.wait_running("web", "db")
    assert after["web"] != before["web"]
    assert after["db"] == before["db"]
    assert daemon.status("db")["stale"] is True
    assert daemon.ctl("update", "nosuch", code=None).returncode in (1, 2, 4)


def test_more_processes_leave_the_others_alone(daemons: Daemons) -> None:
    """numprocs from 2 to 3 starts one, from 3 to 1 stops two; the others keep their pid."""
    options = {"process_name": NUMBERED}
    daemon = daemons(program("web", SLEEPER, numprocs=2, **options))
    two = daemon.wait_running("web:web_0", "web:web_1")
    daemon.configure(program("web", SLEEPER, numprocs=3, **options))
    daemon.ctl("update")
    three = daemon.wait_running("web:web_0", "web:web_1", "web:web_2")
    assert three["web:web_0"] == two["web:web_0"]
    assert three["web:web_1"] == two["web:web_1"]
    daemon.configure(program("web", SLEEPER, numprocs=1, **options))
    daemon.ctl("update")
    assert list(daemon.states()) in (["web:web_0"], ["web"])
    (left,) = daemon.call("status")["processes"]
    assert left["pid"] == two["web:web_0"]
    assert not alive(three["web:web_2"])


def test_one_changed_program_of_a_group(daemons: Daemons) -> None:
    """The other programs of the group are not touched."""
    group = '[group.site]\nprograms = ["web", "db"]\n'
    daemon = daemons(WEB + DB + group)
    before = daemon.wait_running("site:web", "site:db")
    daemon.configure(WEB + changed("db") + group)
    daemon.ctl("update")
    after = daemon.wait_running("site:web", "site:db")
    assert after["site:web"] == before["site:web"]
    assert after["site:db"] != before["site:db"]


def test_the_operators_wish_survives_an_update(daemons: Daemons) -> None:
    """What was stopped stays stopped, what was started by hand runs on, changed or not."""
    daemon = daemons(WEB + DB + program("manual", SLEEPER, autostart=False))
    daemon.wait_running("web", "db")
    daemon.ctl("stop", "web", "db")
    daemon.ctl("start", "manual")
    daemon.configure(changed("web") + DB + changed("manual", autostart=False))
    daemon.ctl("update")
    assert daemon.wait_state("manual", "RUNNING")["wanted"] is True
    states = daemon.states()
    assert (states["web"], states["db"]) == ("STOPPED", "STOPPED")


def test_what_only_concerns_the_rules_changes_without_a_restart(daemons: Daemons) -> None:
    """priority, startsecs and the like take effect at once, and no pid changes."""
    daemon = daemons(WEB + DB)
    before = daemon.wait_running("web", "db")
    daemon.configure(
        program("web", SLEEPER, priority=1, autorestart=False) + program("db", SLEEPER, startsecs=5)
    )
    daemon.ctl("update")
    assert daemon.wait_running("web", "db") == before
    assert daemon.status("web")["priority"] == 1
    os.kill(before["web"], signal.SIGKILL)
    assert daemon.wait_state("web", "EXITED")["wanted"] is False


def test_a_changed_definition_is_the_one_that_runs(daemons: Daemons) -> None:
    """The new command runs after the update, not before."""
    daemon = daemons(program("job", stamper("old", "exec sleep 100000")))
    daemon.wait_running("job")
    daemon.configure(program("job", stamper("new", "exec sleep 100000")))
    daemon.ctl("restart", "job")
    assert (len(daemon.stamps("old")), len(daemon.stamps("new"))) == (2, 0)
    daemon.ctl("update")
    wait_until(lambda: daemon.stamps("new"))
    assert len(daemon.stamps("old")) == 2


BAD = {
    "syntax": "[program.web\n",
    "unknown key": program("web", SLEEPER, autostrt=True),
    "value": program("web", SLEEPER, startsecs="soon"),
    "reference": WEB + '[group.site]\nprograms = ["nosuch"]\n',
    "empty command": program("web", ""),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_configuration_changes_nothing(daemons: Daemons, kind: str) -> None:
    """update, reread, reload and SIGHUP refuse it as a whole and say why with file and line."""
    daemon = daemons(WEB + DB)
    before = daemon.wait_running("web", "db")
    daemon.configure(program("good", SLEEPER) + BAD[kind])
    for command in ("reread", "update", "reload"):
        # A client that is told the socket need not read the broken file.
        done = daemon.ctl("-s", str(daemon.socket), command, code=2)
        assert f"{daemon.config}:" in done.stderr, done
    with pytest.raises(CallError) as error:
        daemon.call("update")
    assert (error.value.code, bool(error.value.data["details"])) == (2, True)
    size = len(daemon.log())
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: f"{daemon.config}" in daemon.log()[size:], what="the complaint is logged")
    assert daemon.wait_running("web", "db") == before
    assert sorted(daemon.states()) == ["db", "web"]
    daemon.configure(WEB + DB + CACHE)
    daemon.ctl("update")
    assert daemon.wait_running("web", "db", "cache").items() > before.items()


def test_sighup_is_reread_and_update(daemons: Daemons) -> None:
    """Everything else runs on."""
    daemon = daemons(WEB + DB)
    before = daemon.wait_running("web", "db")
    daemon.configure(WEB + CACHE)
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "cache" in daemon.states())
    assert daemon.wait_running("web", "cache")["web"] == before["web"]
    wait_until(lambda: "db" not in daemon.states())
    assert not alive(before["db"])


@pytest.mark.parametrize("command", ["update", "reload", "add"])
def test_logs_move_to_a_directory_that_is_made(daemons: Daemons, command: str) -> None:
    """As at the start: a program does not fail because its new log_dir is not there yet."""
    daemon = daemons(WEB)
    daemon.wait_running("web")
    elsewhere = daemon.dir / "else" / "where"
    daemon.configure(WEB + DB)
    text = daemon.config.read_text().replace(f'"{daemon.dir}/log"', f'"{elsewhere}"')
    daemon.config.write_text(text)
    daemon.ctl("reread")
    assert not elsewhere.exists()
    daemon.ctl(command, *(["db"] if command == "add" else []))
    daemon.wait_running("web", "db")
    assert (elsewhere / "db.stdout.log").exists()
    assert "cannot" not in daemon.log()


def test_a_log_dir_that_cannot_be_made_changes_nothing(daemons: Daemons) -> None:
    """For an ordinary user the check finds out, for root the attempt: nobody makes files there."""
    daemon = daemons(WEB)
    before = daemon.wait_running("web")
    text = daemon.config.read_text().replace(f'"{daemon.dir}/log"', '"/proc/no-logs"')
    daemon.config.write_text(text)
    for command in ("update", "reload"):
        done = daemon.ctl("-s", str(daemon.socket), command, code=2)
        assert "/proc" in done.stderr
    assert daemon.wait_running("web") == before


def test_what_needs_another_daemon_is_told(daemons: Daemons) -> None:
    """A changed key of [daemon] is no silence; an upgrade applies it, and nothing waits then."""
    daemon = daemons(WEB)
    before = daemon.wait_running("web")
    text = daemon.config.read_text()
    assert "[daemon]\n" in text
    keys = '[daemon]\nidentifier = "other"\njournal_count = 77\n'
    daemon.config.write_text(text.replace("[daemon]\n", keys, 1))
    line = "[daemon] identifier, journal_count: take effect with the next daemon (slctl upgrade)"
    assert daemon.ctl("reread").stdout == f"No config updates to processes\n{line}\n"
    assert daemon.ctl("update").stdout == f"{line}\n"
    assert daemon.call("update")["daemon"] == ["identifier", "journal_count"]
    size = len(daemon.log())
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: line in daemon.log()[size:], what="the log has it")
    assert "nothing changed" not in daemon.log()[size:]
    daemon.ctl("upgrade")
    assert daemon.call("version")["identifier"] == "other"
    assert daemon.ctl("reread").stdout == "No config updates to processes\n"
    daemon.config.write_text(text)
    assert daemon.ctl("reload").stdout.splitlines()[1:] == [line]
    assert daemon.wait_running("web").keys() == before.keys()


def test_add_and_remove(daemons: Daemons) -> None:
    """One group at a time; a group that is up is not removed."""
    daemon = daemons(WEB)
    before = daemon.wait_running("web")
    daemon.configure(WEB + DB)
    daemon.ctl("reread")
    daemon.ctl("add", "db")
    assert daemon.wait_running("web", "db")["web"] == before["web"]
    again = daemon.ctl("add", "db", code=None)
    assert "already" in again.stdout + again.stderr
    assert "running" in daemon.ctl("remove", "db", code=1).stderr
    daemon.ctl("stop", "db")
    daemon.ctl("remove", "db")
    assert list(daemon.states()) == ["web"]
    refused = daemon.ctl("add", "db", "nosuch", code=4)
    assert (refused.stdout, refused.stderr) == ("", "nosuch: ERROR (no such group)\n")
    assert daemon.ctl("remove", "web", "nosuch", code=4).stderr == refused.stderr
    assert list(daemon.states()) == ["web"], "one bad name: nothing is done"


def test_reload_starts_everything_afresh(daemons: Daemons) -> None:
    """All processes are stopped, the new configuration is started, the daemon stays."""
    daemon = daemons(WEB + DB + program("manual", SLEEPER, autostart=False))
    before = daemon.wait_running("web", "db")
    daemon.configure(WEB + CACHE + program("manual", SLEEPER, autostart=False))
    daemon.ctl("reload")
    after = daemon.wait_running("web", "cache")
    assert after["web"] != before["web"]
    assert not any(alive(pid) for pid in before.values())
    assert daemon.states()["manual"] == "STOPPED"
    assert "db" not in daemon.states()
    assert daemon.call("version")["pid"] == daemon.pid


def test_included_files(daemons: Daemons) -> None:
    """A file that appears in conf.d is found by the next update, one that vanishes is missed."""
    daemon = daemons(WEB)
    daemon.wait_running("web")
    folder = daemon.dir / "conf.d"
    folder.mkdir()
    (folder / "db.toml").write_text(DB)
    daemon.ctl("update")
    daemon.wait_running("web", "db")
    (folder / "db.toml").write_text(DB + "nonsense = true\n")
    assert "db.toml:" in daemon.ctl("update", code=2).stderr
    (folder / "db.toml").write_text(DB)
    (folder / "more.toml").write_text(CACHE)
    daemon.ctl("update")
    (folder / "db.toml").unlink()
    daemon.ctl("update")
    assert list(daemon.states()) == ["cache", "web"]


def test_an_empty_directory_is_no_order_to_stop_everything(daemons: Daemons) -> None:
    """Nothing of an include is left, or nothing at all: it is asked for, and all run on."""
    daemon = daemons.prepare(WEB, settings='include = ["conf.d/*.toml", "none/*.toml"]')
    folder = daemon.dir / "conf.d"
    folder.mkdir()
    (folder / "db.toml").write_text(DB)
    before = daemon.start().wait_running("web", "db")
    assert "none/*.toml" in daemon.ctl("update").stderr, "warned of as by reread"
    (folder / "db.toml").rename(folder / "db.toml~")
    said = daemon.ctl("update", code=1)
    assert f'"{folder}/*.toml" matches no file any more: 1 group' in said.stderr
    assert "db; nothing was changed. If that is meant: slctl update --yes" in said.stderr
    assert daemon.ctl("update", "db", code=1).stdout == said.stdout == ""
    assert "matches no file any more" in daemon.ctl("reload", code=1).stderr
    assert "matches no file any more" in daemon.ctl("upgrade", code=1).stderr
    size = len(daemon.log())
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "configuration not used: cannot update" in daemon.log()[size:])
    assert daemon.wait_running("web", "db") == before
    done = daemon.ctl("update", "--yes")
    assert done.stdout.splitlines()[1:] == ["db: removed process group", "processes: 1 removed"]
    assert daemon.wait_running("web").items() <= before.items()
    daemon.configure("")
    assert "nothing would be left: 1 group would be" in daemon.ctl("update", code=1).stderr
    with pytest.raises(CallError) as error:
        daemon.call("update")
    assert error.value.data["code"] == "confirmation_needed"
    assert (error.value.data["removed"], error.value.data["patterns"]) == (["web"], [])
    assert daemon.wait_running("web").items() <= before.items()
    daemon.ctl("update", "-y")
    assert daemon.states() == {}
    daemon.configure(WEB)
    daemon.ctl("update")


FAILS = program("fails", sh("echo no such table; exit 3"), startretries=9, backoff=100)


def test_0_means_that_what_was_started_is_up(daemons: Daemons) -> None:
    """update, add, reload and start wait for it, and tell what is not and why."""
    daemon = daemons(WEB + DB)
    before = daemon.wait_running("web", "db")
    daemon.configure(WEB + changed("db") + FAILS + program("new", SLEEPER, startsecs=0.3))
    said = daemon.ctl("update", code=1)
    assert said.stdout.splitlines() == [
        "db: updated process group",
        "fails: added process group",
        "new: added process group",
        "processes: 2 added, 1 restarted",
    ]
    assert "fails: ERROR (backoff 1 m 40 s, try 2 of 10: exit 3)" in said.stderr
    assert "    | no such table" in said.stderr
    assert daemon.states() == {
        "db": "RUNNING", "fails": "BACKOFF", "new": "RUNNING", "web": "RUNNING"
    }  # fmt: skip
    assert "exit 3" in daemon.ctl("start", "fails", code=1).stderr
    assert daemon.ctl("update").stderr == "No config updates to processes\n"

    # What failed is tried again at once with its new definition; the rules change in place.
    remedy = program("fails", SLEEPER, startretries=9, backoff=100)
    daemon.configure(WEB + changed("db", priority=5) + remedy)
    daemon.ctl("update")
    assert (daemon.states()["fails"], daemon.status("web")["pid"]) == ("RUNNING", before["web"])

    slow = program("slow", SLEEPER, startsecs=100)
    daemon.configure(WEB + changed("db", priority=6) + remedy + slow)
    said = daemon.ctl("update", "--timeout", "0.1", code=7)
    assert said.stdout.splitlines()[-1] == "processes: 1 added, 1 changed in place"
    assert "slow: ERROR (timeout: not done in time: STARTING)" in said.stderr
    assert daemon.ctl("start", "slow", "--timeout", "0.1", code=7).stdout == ""
    assert daemon.ctl("start", "slow", "--no-wait").stdout == "slow: starting\n"
    assert daemon.ctl("reload", "--timeout", "2", code=7).stderr.startswith("slow: ERROR")
    daemon.ctl("stop", "slow", "fails")
    daemon.ctl("remove", "slow", "fails")
    assert daemon.ctl("add", "--no-wait", "slow").stdout == "slow: added process group\n"
    late = daemon.ctl("add", "--timeout", "0", "fails", code=7)
    assert late.stdout == "fails: added process group\n"
    daemon.ctl("update", "--no-wait")


def test_nothing_is_updated_while_the_daemon_ends(daemons: Daemons) -> None:
    """Neither SIGHUP nor update adds a process to those that are being stopped."""
    daemon = daemons(program("deaf", TERM_IGNORER, startsecs=0, stopwaitsecs=100))
    wait_until(lambda: "ready" in daemon.text("log/deaf.stdout.log"))
    daemon.configure(program("deaf", TERM_IGNORER, startsecs=1) + WEB)
    daemon.signal(signal.SIGTERM)
    daemon.wait_state("deaf", "STOPPING")
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "configuration not used: the daemon is shutting down" in daemon.log())
    assert "the daemon is shutting down" in daemon.ctl("update", code=1).stderr
    assert daemon.states() == {"deaf": "STOPPING"}
    assert "Traceback" not in daemon.log()
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_files_that_are_newer_than_what_runs(daemons: Daemons) -> None:
    """restart and start say so, whatever file it is, and what applies it; status shows `stale`."""
    daemon = daemons.prepare(WEB, settings='include = ["conf.d/*.toml"]')
    folder = daemon.dir / "conf.d"
    folder.mkdir()
    (folder / "db.toml").write_text(DB)
    daemon.start().wait_running("web", "db")
    assert daemon.ctl("restart", "web", "db").stderr == ""
    assert "stale" not in daemon.ctl("status").stdout
    (folder / "db.toml").write_text(changed("db"))
    said = daemon.ctl("restart", "db")
    line = f'slctl: "{folder}/db.toml" is newer than what runs: `slctl update db` applies it\n'
    assert (said.stdout, said.stderr) == ("db: restarted\n", line)
    rows = daemon.ctl("status").stdout.splitlines()
    assert [row.endswith("; stale") for row in rows] == [True, False]
    assert daemon.ctl("start", "db").stderr == line, "as often as it is asked"
    assert "newer than what runs" not in daemon.ctl("stop", "db").stderr
    daemon.ctl("update")
    assert daemon.ctl("restart", "web").stderr == ""

    (folder / "new.toml").write_text(CACHE)
    other = "slctl: the configuration is newer than what runs (cache): `slctl update` applies it\n"
    assert daemon.ctl("restart", "web").stderr == other
    (folder / "more.toml").write_text(program("more", SLEEPER))
    place = f'the configuration has it, in "{folder}/more.toml": `slctl update more`'
    for verb in ("start", "status", "restart"):
        said = daemon.ctl(verb, "more", code=4)
        assert said.stderr.startswith("more: ERROR (no such process)")
        assert place in said.stderr
    (folder / "new.toml").write_text("[program.cache]\n")
    assert "the configuration on disk is newer, and cannot be used" in (
        daemon.ctl("restart", "web").stderr
    )
    (folder / "new.toml").unlink()
    daemon.ctl("update")
    assert daemon.ctl("start", "more").stderr == ""
