"""The daemon dies, and the configuration is broken by then: what runs keeps its supervisor."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from supervisor_lite.passwords import make_hash
from tests.chaos.tools import kill, kill_process, rows
from tests.programs import SLEEPER, exits, program
from tests.support import Daemon, Daemons, wait_until

PROGRAMS = (
    program("web", SLEEPER, startsecs=0, priority=5)
    + program("stopped", SLEEPER, startsecs=0)
    + program("idle", SLEEPER, startsecs=0, autostart=False)
    + program("failing", exits(3), backoff=100)
    + '[group.site]\nprograms = ["web"]\npriority = 7\n\n'
)


def breaks(text: str) -> Callable[[Daemon], None]:
    def damage(daemon: Daemon) -> None:
        daemon.config.write_text(daemon.config.read_text() + text)

    return damage


DAMAGES = {
    "a table without an end": breaks("[program.more\n"),
    "a key that is missing": breaks("[program.more]\n"),
    "a gateway": breaks('[gateway]\nlisten = "nonsense"\n'),
    "a user that disappeared": breaks(program("more", SLEEPER, user="nobody-at-all")),
    "a directory that is missing": breaks(
        program("more", SLEEPER, stdout_logfile="/nowhere/at/all/more.log")
    ),
}


def running(daemons: Daemons) -> tuple[Daemon, dict[str, dict[str, object]]]:
    daemon = daemons(PROGRAMS)
    daemon.wait_running("site:web", "stopped")
    daemon.ctl("stop", "stopped")
    daemon.wait_state("failing", "BACKOFF")
    return daemon, {p["fullname"]: p for p in daemon.call("status")["processes"]}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_next_daemon_works_with_what_was_in_force(
    daemons: Daemons, damage: Callable[[Daemon], None]
) -> None:
    """Same processes and wishes; it says what is wrong, and takes up what is mended."""
    daemon, before = running(daemons)
    whole = daemon.config.read_text()
    kill(daemon)
    damage(daemon)
    daemon.start()
    after = {p["fullname"]: p for p in daemon.call("status")["processes"]}
    assert {name: (p["state"], p["pid"], p["wanted"]) for name, p in after.items()} == {
        name: (p["state"], p["pid"], p["wanted"]) for name, p in before.items()
    }
    assert daemon.call("avail")["processes"][-1]["group_priority"] in (7, 999)
    assert "configuration not used, the last one is in force" in daemon.log()
    refused = daemon.call("version")["refused"]
    assert str(daemon.config) in refused[0]
    assert daemon.call("status")["refused"] == refused
    # What runs is kept running, and driven as ever.
    web = daemon.status("site:web")["pid"]
    kill_process(web, reaped=False)
    wait_until(lambda: daemon.status("site:web")["pid"] not in (None, web), what="web runs again")
    daemon.call("start", names=["idle"])
    daemon.config.write_text(whole + program("more", SLEEPER, startsecs=0))
    assert "configuration not used" in daemon.ctl("version").stderr
    assert "configuration not used" in daemon.ctl("status", code=None).stderr
    pids = daemon.wait_running("site:web", "idle")
    daemon.ctl("update")
    assert daemon.ctl("version").stderr == ""
    assert daemon.wait_running("site:web", "idle", "more").items() > pids.items()


def test_a_signal_takes_up_what_is_mended(daemons: Daemons) -> None:
    daemon, _ = running(daemons)
    whole = daemon.config.read_text()
    kill(daemon)
    daemon.config.write_text(whole + "[program.more]\n")
    daemon.start()
    assert "is missing" in daemon.ctl("update", code=2).stderr
    daemon.config.write_text(whole + program("more", SLEEPER, startsecs=0))
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "more" in daemon.states(), what="more is there")
    daemon.wait_running("more")
    assert "refused" not in daemon.call("version")


def test_it_is_in_force_for_every_later_daemon(daemons: Daemons) -> None:
    """Also one that is left running, killed again, and upgraded in place."""
    daemon, before = running(daemons)
    pid = before["site:web"]["pid"]
    damage = breaks("[program.more\n")
    kill(daemon)
    damage(daemon)
    daemon.start()
    daemon.call("shutdown", leave_running=True)
    assert daemon.wait_exit() == 0
    for _ in range(2):
        daemon.start()
        assert daemon.wait_running("site:web")["site:web"] == pid
        kill(daemon)
    daemon.start()
    assert "does not start" in daemon.ctl("upgrade", code=None).stderr
    assert daemon.wait_running("site:web")["site:web"] == pid


def test_where_nothing_goes_on_it_is_an_error(daemons: Daemons) -> None:
    """At a first start, after an end in full, and of another configuration."""
    daemon = daemons.prepare(PROGRAMS)
    whole = daemon.config.read_text()
    daemon.config.write_text(whole + "[program.more]\n")
    daemon.launch()
    assert daemon.wait_exit() == 2
    daemon.config.write_text(whole)
    daemon.start()
    daemon.wait_running("site:web")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    daemon.config.write_text(whole + "[program.more]\n")
    daemon.launch()
    assert daemon.wait_exit() == 2
    daemon.config.write_text(whole)
    daemon.start()
    pid = daemon.wait_running("site:web")["site:web"]
    kill(daemon)
    config = daemon.config
    daemon.config = daemon.dir / "other.toml"
    daemon.config.write_text(whole + "[program.more]\n")
    daemon.launch()
    assert daemon.wait_exit() == 2
    daemon.config = config
    daemon.start()
    assert daemon.wait_running("site:web")["site:web"] == pid


def test_a_check_is_about_the_file(daemons: Daemons) -> None:
    daemon, _ = running(daemons)
    daemon.config.write_text(daemon.config.read_text() + "[program.more]\n")
    with daemon.spawn_ctl("check", str(daemon.config)) as check:
        check.communicate(timeout=60)
    assert check.returncode == 2


def test_what_is_kept_of_it_has_no_passwords(daemons: Daemons) -> None:
    password = make_hash("secret", 10)
    daemon = daemons(
        program("web", SLEEPER, startsecs=0)
        + '[gateway]\nlisten = ["http://127.0.0.1:1"]\n'
        + f'[[gateway.users]]\nname = "ann"\npassword_hash = "{password}"\n'
    )
    kept = rows(daemon, "SELECT value FROM meta WHERE key = 'configuration'")
    assert "127.0.0.1" in str(kept)
    assert password not in str(kept)
