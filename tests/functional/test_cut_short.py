"""The daemon is killed in the middle of an operation of several steps; the next one finishes it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest

from tests.chaos.tools import ask, edit, kill, last_run, rows, upgrade
from tests.programs import SLEEPER, exits, program, sh
from tests.support import Daemon, Daemons, alive, wait_until

WAVES = ("late", "mid", "early")
"""In the order in which they stop."""


def gate(name: str) -> list[str]:
    """Return a program that ends after TERM as soon as there is a file NAME.gate."""
    wait = f"while [ ! -e %(here)s/{name}.gate ]; do sleep 0.02; done"
    script = f"trap '{wait}; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    return sh(script)


def gated(*names: str, **options: object) -> str:
    """Return programs that each stop in a wave of their own, when the test lets them."""
    return "".join(
        program(name, gate(name), priority=900 - 100 * place, startsecs=0, stopwaitsecs=100,
                directory="%(here)s", **options)
        for place, name in enumerate(names)
    )  # fmt: skip


def let_stop(daemon: Daemon, *names: str) -> None:
    """Let these end at the next TERM."""
    for name in names:
        (daemon.dir / f"{name}.gate").touch()


def cut(daemon: Daemon, waves: int, begin: Callable[[], AbstractContextManager[object]]) -> None:
    """Begin an operation, and kill the daemon when so many waves are down, with the next asked."""
    let_stop(daemon, *WAVES[:waves])
    with begin():
        reached = WAVES[min(waves, len(WAVES) - 1)]
        daemon.wait_state(reached, "STOPPING")
        kill(daemon)


def by_signal(daemon: Daemon) -> AbstractContextManager[object]:
    daemon.signal(signal.SIGTERM)
    return nullcontext()


def end_gates(daemon: Daemon) -> None:
    let_stop(daemon, *WAVES)


def is_clean(daemon: Daemon) -> bool:
    """Is no operation pending in the journal any more?"""
    return not rows(daemon, "SELECT key FROM meta WHERE key GLOB 'operation:*'")


# A shutdown is no wish.


@pytest.mark.parametrize("waves", [0, 1, 2])
@pytest.mark.parametrize("how", ["SIGTERM", "shutdown"])
def test_what_was_wanted_before_a_shutdown_runs_again(
    daemons: Daemons, waves: int, how: str
) -> None:
    """Whichever wave it has come to; what an operator had stopped stays stopped."""
    daemon = daemons(
        gated(*WAVES)
        + program("stopped", SLEEPER, startsecs=0)
        + program("manual", SLEEPER, startsecs=0, autostart=False)
        + program("idle", SLEEPER, autostart=False)
        + program("job", exits(0), startsecs=0, autorestart=False)
    )
    daemon.wait_running(*WAVES, "stopped")
    daemon.ctl("start", "manual")
    daemon.ctl("stop", "stopped")
    daemon.wait_state("job", "EXITED")
    begin = by_signal if how == "SIGTERM" else lambda daemon: ask(daemon, "shutdown")
    cut(daemon, waves, lambda: begin(daemon))
    end_gates(daemon)
    daemon.start()
    daemon.wait_running(*WAVES, "manual")
    assert daemon.states() == {
        **dict.fromkeys((*WAVES, "manual"), "RUNNING"),
        "stopped": "STOPPED", "idle": "STOPPED", "job": "EXITED",
    }  # fmt: skip
    assert all(daemon.status(name)["wanted"] for name in (*WAVES, "manual"))
    wait_until(lambda: is_clean(daemon), what="nothing is pending")
    causes = [e["cause_data"]["kind"] for e in daemon.events("late") if e["to"] == "STARTING"]
    assert causes[-1] in ("resumed", "autostart"), causes


def test_a_stop_by_an_operator_during_the_shutdown_is_a_wish(daemons: Daemons) -> None:
    daemon = daemons(gated(*WAVES))
    daemon.wait_running(*WAVES)
    daemon.signal(signal.SIGTERM)
    daemon.wait_state("late", "STOPPING")
    with ask(daemon, "stop", names=["mid"]):
        daemon.wait_state("mid", "STOPPING")
        kill(daemon)
    end_gates(daemon)
    daemon.start()
    daemon.wait_running("late", "early")
    wait_until(lambda: daemon.states()["mid"] == "STOPPED", what="mid is down")


def test_what_was_taken_out_of_use_stays_so_after_a_cut_shutdown(daemons: Daemons) -> None:
    daemon = daemons(gated(*WAVES) + program("gone", SLEEPER, startsecs=0))
    daemon.wait_running(*WAVES, "gone")
    daemon.ctl("stop", "gone")
    daemon.ctl("remove", "gone")
    cut(daemon, 1, lambda: by_signal(daemon))
    end_gates(daemon)
    daemon.start()
    daemon.wait_running(*WAVES)
    assert set(daemon.states()) == set(WAVES)


def test_a_second_signal_changes_nothing_about_the_wishes(daemons: Daemons) -> None:
    """It kills what is left; a daemon that dies in between has not forgotten what was wanted."""
    daemon = daemons(gated(*WAVES))
    daemon.wait_running(*WAVES)
    daemon.signal(signal.SIGTERM)
    daemon.wait_state("late", "STOPPING")
    daemon.signal(signal.SIGSTOP)  # the second one and the kill are answered in one go, or not
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGCONT)
    kill(daemon)
    end_gates(daemon)
    daemon.start()
    daemon.wait_running(*WAVES)


def test_a_shutdown_that_is_not_cut_leaves_nothing(daemons: Daemons) -> None:
    """The next daemon starts from the configuration alone."""
    daemon = daemons(gated(*WAVES))
    daemon.wait_running(*WAVES)
    daemon.ctl("stop", "early", "--no-wait")
    end_gates(daemon)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert is_clean(daemon)
    daemon.start()
    daemon.wait_running(*WAVES)
    assert "cut short" not in daemon.log()


def test_an_end_by_exit_when_that_was_cut_short_starts_what_had_ended(daemons: Daemons) -> None:
    """As after an end in full: otherwise the next daemon would end at once, and every other one."""
    daemon = daemons(
        gated("late", "mid")
        + program("web", sh("until [ -e end ]; do sleep 0.02; done; exit 3"), startsecs=0,
                  autorestart=False, directory="%(here)s"),
        settings='exit_when = "program:web"',
    )  # fmt: skip
    daemon.wait_running("late", "mid", "web")
    (daemon.dir / "end").touch()
    daemon.wait_state("late", "STOPPING")
    kill(daemon)
    (daemon.dir / "end").unlink()
    end_gates(daemon)
    daemon.start()
    daemon.wait_running("late", "mid", "web")


@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_what_is_down_until_the_operation_is_finished_does_not_end_the_daemon(
    daemons: Daemons, verb: str
) -> None:
    """`exit_when` waits for it: what the last daemon has stopped is about to come up."""
    job = sh("[ -e again ] && exec sleep 100000; exit 0")
    daemon = daemons(
        gated("late", "mid")
        + program("job", job, startsecs=0, autorestart=False, directory="%(here)s"),
        settings='exit_when = "all-exited"',
    )
    before = daemon.wait_running("late", "mid")
    daemon.wait_state("job", "EXITED")
    daemon.wait_said("late", "up")
    daemon.wait_said("mid", "up")
    let_stop(daemon, "late")
    with ask(daemon, verb, **({"names": ["all"]} if verb == "restart" else {})):
        daemon.wait_state("mid", "STOPPING")
        kill(daemon)
    (daemon.dir / "again").touch()
    end_gates(daemon)
    wait_until(lambda: not any(map(alive, before.values())), what="nothing is up")
    daemon.start()
    daemon.wait_running("late", "mid", "job")
    wait_until(lambda: is_clean(daemon), what="it is finished")


def test_a_stop_while_the_next_daemon_finishes_a_restart_is_a_wish_for_the_third(
    daemons: Daemons,
) -> None:
    daemon = daemons(gated(*WAVES))
    before = daemon.wait_running(*WAVES)
    for name in WAVES:
        daemon.wait_said(name, "up")
    cut(daemon, 2, lambda: ask(daemon, "restart", names=["all"]))  # only the last one is left
    daemon.start()
    wait_until(lambda: "finishing it" in daemon.log())
    daemon.call("stop", names=["early"], wait=False)
    wait_until(lambda: daemon.status("early")["wanted"] is False)
    kill(daemon)
    end_gates(daemon)
    daemon.start()
    wait_until(lambda: is_clean(daemon), what="the restart is finished")
    daemon.wait_state("early", "STOPPED")
    after = daemon.wait_running("late", "mid")
    assert all(after[name] != before[name] for name in after)


# Operations that are finished.


@pytest.mark.parametrize("waves", [0, 1, 2])
def test_a_reload_is_finished(daemons: Daemons, waves: int) -> None:
    """By a stop of what still ran, and a start from the configuration as it is now."""
    daemon = daemons(gated(*WAVES) + program("manual", SLEEPER, startsecs=0, autostart=False))
    daemon.ctl("start", "manual")
    before = daemon.wait_running(*WAVES, "manual")
    daemon.configure(gated(*WAVES, environment={"NEW": "1"}) + program("more", SLEEPER))
    cut(daemon, waves, lambda: ask(daemon, "reload"))
    end_gates(daemon)
    daemon.start()
    wait_until(lambda: is_clean(daemon), what="the reload is finished")
    after = daemon.wait_running(*WAVES, "more")
    assert set(daemon.states()) == set(after)
    assert all(before[name] != after[name] for name in WAVES)
    assert not alive(before["manual"])
    assert not any(daemon.status(name)["stale"] for name in after)


def test_a_reload_is_finished_by_an_upgrade_in_its_middle(daemons: Daemons) -> None:
    daemon = daemons(gated(*WAVES))
    before = daemon.wait_running(*WAVES)
    with ask(daemon, "reload"):
        daemon.wait_state("late", "STOPPING")
        upgrade(daemon)
    end_gates(daemon)
    wait_until(lambda: is_clean(daemon), what="the reload is finished")
    after = daemon.wait_running(*WAVES)
    assert all(before[name] != after[name] for name in WAVES)


def test_a_reload_whose_configuration_is_broken_by_now_gives_back_what_ran(
    daemons: Daemons,
) -> None:
    """It cannot be finished: then everything is as it was before."""
    daemon = daemons(gated(*WAVES))
    daemon.wait_running(*WAVES)
    whole = daemon.config.read_text()
    cut(daemon, 1, lambda: ask(daemon, "reload"))
    end_gates(daemon)
    daemon.config.write_text(whole + "[program.broken]\n")
    daemon.start()
    daemon.wait_running(*WAVES)
    wait_until(lambda: is_clean(daemon), what="the reload is given up")
    assert "cannot finish reload" in daemon.log()


@pytest.mark.parametrize("waves", [0, 1, 2])
def test_an_ordered_stop_is_finished(daemons: Daemons, waves: int) -> None:
    """The waves that had not been asked are, too; what was started meanwhile is left alone."""
    daemon = daemons(gated(*WAVES) + program("other", SLEEPER, startsecs=0, priority=1000))
    daemon.wait_running(*WAVES, "other")
    cut(daemon, waves, lambda: ask(daemon, "stop", names=list(WAVES)))
    end_gates(daemon)
    daemon.start()
    wait_until(lambda: is_clean(daemon), what="the stop is finished")
    assert daemon.states() == {**dict.fromkeys(WAVES, "STOPPED"), "other": "RUNNING"}
    assert not any(daemon.status(name)["wanted"] for name in WAVES)


@pytest.mark.parametrize("names", [[], ["mid", "more"]])
def test_an_update_is_finished(daemons: Daemons, names: list[str]) -> None:
    """Cut while it waits for what is removed: what is changed is restarted all the same."""
    daemon = daemons(gated(*WAVES))
    before = daemon.wait_running(*WAVES)
    changed = gated(*WAVES[:2], environment={"NEW": "1"}).partition("[program.mid]")
    daemon.configure(changed[1] + changed[2] + program("more", SLEEPER, startsecs=0))
    with ask(daemon, "update", names=names and [*names, "late"]):
        daemon.wait_state("late", "STOPPING")
        kill(daemon)
    end_gates(daemon)
    daemon.start()
    wait_until(lambda: is_clean(daemon), what="the update is finished")
    after = daemon.wait_running("mid", "more")
    assert after["mid"] != before["mid"]
    assert daemon.status("mid")["stale"] is False
    assert not alive(before["late"])


def test_a_row_that_makes_no_sense_costs_that_row_only(daemons: Daemons) -> None:
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    before = daemon.wait_running("web")
    kill(daemon)
    strange = ["[]", "{", json.dumps({"kind": "dance"}), json.dumps({"kind": "stop", "names": 3})]
    with sqlite3.connect(daemon.dir / "state/journal.db") as database:
        database.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [(f"operation:{n}", text) for n, text in enumerate(strange)]
            + [("operation:x", json.dumps({"kind": "stop", "names": ["web"]}))],
        )
    database.close()
    daemon.start()
    assert daemon.wait_running("web") == before


# Signals that were not sent.

TOLD = "trap 'echo told' TERM; echo up; while :; do sleep 0.02; done"


def say_unsent(daemon: Daemon, name: str) -> None:
    """Have the journal say that the daemon died before it sent the stop signal."""
    run = last_run(daemon, name)["run"]
    edit(daemon, "INSERT INTO meta VALUES (?, ?)", f"unsent:{run}", f"[{run}]")


@pytest.mark.parametrize("whom", ["main", "group", "leftovers"])
def test_a_stop_signal_that_was_not_sent_is_sent_by_the_next_daemon(
    daemons: Daemons, whom: str
) -> None:
    """With the patience that belongs to it; one that was sent is not sent again."""
    script = TOLD
    if whom == "leftovers":
        script = f"({TOLD}) & trap 'exit 0' TERM; while :; do sleep 0.02; done"
    options = {"startsecs": 0, "stopwaitsecs": 100, "stopasgroup": whom == "group"}
    daemon = daemons("".join(program(name, sh(script), **options) for name in ("web", "sent")))
    for name in ("web", "sent"):
        daemon.wait_said(name, "up")
        daemon.call("stop", names=[name], wait=False)
        daemon.wait_said(name, "told")
        if whom == "leftovers":
            wait_until(lambda: daemon.status(name)["pid"] is None, what="only the child is left")  # noqa: B023
    kill(daemon)
    say_unsent(daemon, "web")
    daemon.start()
    wait_until(lambda: daemon.text("log/web.stdout.log").count("told") == 2, what="web is told")
    is_sent = "SELECT count(*) AS n FROM meta WHERE key GLOB 'unsent:*'"
    wait_until(lambda: rows(daemon, is_sent) == [{"n": 0}], what="that is written down")
    assert daemon.text("log/sent.stdout.log").count("told") == 1
    assert daemon.states() == {"web": "STOPPING", "sent": "STOPPING"}
    for name in ("web", "sent"):  # none of which ends by itself
        for pid in daemon.pids_of(name, "sh"):
            os.kill(pid, signal.SIGKILL)
