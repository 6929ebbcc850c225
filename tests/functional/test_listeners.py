"""Event listeners of a real daemon: who hears of what, and what becomes of it."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from functools import partial
from itertools import pairwise

import pytest

from supervisor_lite.rules.event_listener.buffer import retry_delay
from tests.chaos.tools import crash, upgrade
from tests.ears import Heard, ears, heard, make, told, unmake
from tests.programs import SLEEPER, echoer, exits, program, sh, toml
from tests.support import Daemon, Daemons, alive, wait_until

STATES = ["PROCESS_STATE"]


def why(daemon: Daemon, name: str) -> list[str]:
    """Return what `slctl why` prints."""
    return daemon.ctl("why", name).stdout.splitlines()


def about(events: list[Heard], name: str) -> list[tuple[str, str]]:
    """Return the changes of state of a process, with what is said after the names."""
    return [
        (event.name.removeprefix("PROCESS_STATE_"), event.payload.split(" ", 2)[2])
        for event in events
        if event.words.get("processname") == name
    ]


def send(daemon: Daemon, kind: str, data: str) -> None:
    daemon.call("remote_event", type=kind, data=data)


def no_event_twice(events: list[Heard]) -> None:
    """The serials go up, one by one in the pool."""
    serials = [int(event.head["serial"]) for event in events]
    assert serials == sorted(set(serials))
    numbers = [int(event.head["poolserial"]) for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


# What is told.


def test_every_change_of_state_is_told(daemons: Daemons) -> None:
    """With Supervisor's words, and how a process ended at their end."""
    daemon = daemons(
        ears(STATES)
        + program("web", SLEEPER, startsecs=0, autostart=False)
        + program("bad", exits(3), startsecs=0, autorestart=False, autostart=False)
        + program("fatal", exits(4), startretries=1, autostart=False)
        + program("shot", sh("kill -KILL $$"), startsecs=0, autorestart=False, autostart=False)
        + '[group.site]\nprograms = ["web"]\n'
    )
    daemon.ctl("start", "site:web")
    pid = daemon.status("site:web")["pid"]
    daemon.ctl("stop", "site:web")
    for name in ("bad", "shot"):
        daemon.ctl("start", name)
    daemon.ctl("start", "fatal", code=1)
    daemon.wait_state("fatal", "FATAL")
    events = told(daemon, "PROCESS_STATE_FATAL")
    assert about(events, "web") == [
        ("STARTING", "from_state:STOPPED tries:0"),
        ("RUNNING", f"from_state:STARTING pid:{pid}"),
        ("STOPPING", f"from_state:RUNNING pid:{pid}"),
        ("STOPPED", f"from_state:STOPPING pid:{pid}"),
    ]
    assert {
        event.words["groupname"] for event in events if event.words["processname"] == "web"
    } == {"site"}
    (ended,) = (say for state, say in about(events, "bad") if state == "EXITED")
    assert re.fullmatch(r"from_state:RUNNING expected:0 pid:[0-9]+ exitcode:3", ended)
    (ended,) = (say for state, say in about(events, "shot") if state == "EXITED")
    assert re.fullmatch(r"from_state:RUNNING expected:0 pid:[0-9]+ signal:SIGKILL", ended)
    assert about(events, "fatal") == [
        ("STARTING", "from_state:STOPPED tries:0"),
        ("BACKOFF", "from_state:STARTING tries:1"),
        ("STARTING", "from_state:BACKOFF tries:1"),
        ("BACKOFF", "from_state:STARTING tries:2"),
        ("FATAL", "from_state:BACKOFF"),
    ]
    no_event_twice(events)


def test_startup_events_are_not_lost(daemons: Daemons) -> None:
    """However many there are, and however long the listener takes."""
    daemon = daemons(
        ears(["EVENT"], startsecs=1, buffer_size=1)
        + "".join(program(f"p{n:02}", SLEEPER, startsecs=0) for n in range(20))
    )
    events = told(daemon, *["PROCESS_STATE_RUNNING"] * 21)
    names = [event.name for event in events]
    assert names[:21] == ["PROCESS_GROUP_ADDED"] * 21
    assert names[21] == "SUPERVISOR_STATE_CHANGE_RUNNING"
    assert names.count("PROCESS_STATE_STARTING") == 21
    assert events[0].payload == "groupname:ears\n"
    no_event_twice(events)
    assert "overflowed" not in daemon.log()


def test_only_what_was_asked_for_is_told(daemons: Daemons) -> None:
    daemon = daemons(
        ears(["PROCESS_STATE_EXITED"], "one")
        + ears(["REMOTE_COMMUNICATION", "SUPERVISOR_STATE_CHANGE"], "two")
        + program("bad", exits(3), startsecs=0, autorestart=False)
    )
    send(daemon, "typé", "dâta\nmore\n")
    events = told(daemon, "REMOTE_COMMUNICATION", name="two")
    assert [event.name for event in events] == [
        "SUPERVISOR_STATE_CHANGE_RUNNING", "REMOTE_COMMUNICATION",
    ]  # fmt: skip
    assert events[1].payload == "type:typé\ndâta\nmore\n"
    assert events[1].head["len"] == "20"
    assert events[1].head["poolserial"] == "1"
    assert events[1].head["pool"] == "two"
    (event,) = told(daemon, "PROCESS_STATE_EXITED", name="one")
    assert list(event.head) == ["ver", "server", "serial", "pool", "poolserial", "eventname", "len"]
    # One count of events for all pools: those that nobody wants are not counted.
    assert {int(e.head["serial"]) for e in (*events, event)} == {0, 1, 2}


def test_groups_that_come_and_go_are_told(daemons: Daemons) -> None:
    listener = ears(["PROCESS_GROUP", "PROCESS_STATE_STOPPED"])
    web = program("web", SLEEPER, startsecs=0)
    daemon = daemons(listener)
    told(daemon, "PROCESS_GROUP_ADDED")
    daemon.configure(listener + web)
    daemon.ctl("update")
    daemon.wait_state("web", "RUNNING")
    daemon.configure(listener)
    daemon.ctl("update")
    events = told(daemon, "PROCESS_GROUP_REMOVED")
    assert [(event.name, event.payload.splitlines()[0].split()[0]) for event in events] == [
        ("PROCESS_GROUP_ADDED", "groupname:ears"),
        ("PROCESS_GROUP_ADDED", "groupname:web"),
        ("PROCESS_STATE_STOPPED", "processname:web"),
        ("PROCESS_GROUP_REMOVED", "groupname:web"),
    ]


def test_output_is_told(daemons: Daemons) -> None:
    daemon = daemons(
        ears(["PROCESS_LOG", "PROCESS_COMMUNICATION"])
        + program("web", echoer("web"), startsecs=0, stdout_events_enabled=True,
                  stdout_capture_maxbytes="1KB")
        + program("err", sh("echo oops >&2; exec sleep 1000"), startsecs=0,
                  stderr_events_enabled=True, stderr_logfile="none")
    )  # fmt: skip
    (event,) = told(daemon, "PROCESS_LOG_STDERR")
    pid = daemon.status("err")["pid"]
    assert event.payload == f"processname:err groupname:err pid:{pid} channel:stderr\noops\n"
    daemon.say("web", "grüße <!--XSUPERVISOR:BEGIN-->a\nb<!--XSUPERVISOR:END-->\n")
    events = told(daemon, "PROCESS_COMMUNICATION_STDOUT")[1:]
    pid = daemon.status("web")["pid"]
    told_text = "".join(e.payload.partition("\n")[2] for e in events if "LOG" in e.name)
    assert told_text.startswith("grüße a\nb")
    (message,) = (e for e in events if "COMMUNICATION" in e.name)
    assert message.payload == f"processname:web groupname:web pid:{pid}\na\nb"
    assert daemon.text("log/web.stdout.log") == "grüße \n"


def test_the_clock_ticks_only_for_those_who_listen(daemons: Daemons) -> None:
    """Nobody there who wants ticks: the daemon sleeps."""
    before = time.time()
    daemon = daemons(
        ears(["TICK_5"]) + ears(["PROCESS_STATE"], "other") + program("web", SLEEPER, startsecs=0)
    )
    event = told(daemon, "TICK_5")[0]
    when = int(event.words["when"])
    assert when % 5 == 0
    assert before - 5 < when <= time.time()
    witness = daemons(ears(["TICK_5"]))
    daemon.ctl("stop", "ears")
    told(daemon, "PROCESS_STATE_STOPPED", name="other")

    def switches() -> int:
        text = (daemon.dir / f"/proc/{daemon.pid}/status").read_text()
        return int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE)[0])

    def rests() -> bool:
        before = switches()
        time.sleep(0.5)  # longer than anything that may still be going on
        return switches() == before

    wait_until(rests, what="the daemon sleeps")
    slept = switches()
    ticks = len(heard(witness))
    wait_until(lambda: len(heard(witness)) > ticks, what="it ticks elsewhere")
    assert switches() == slept
    assert len(heard(daemon)) <= 2


# What becomes of an event.


def test_a_rejected_event_is_sent_again(daemons: Daemons) -> None:
    daemon = daemons(ears(["REMOTE_COMMUNICATION"]))
    make(daemon, "fail")
    send(daemon, "a", "1")
    send(daemon, "b", "2")
    told(daemon, *["REMOTE_COMMUNICATION"] * 3)
    unmake(daemon, "fail")
    wait_until(lambda: heard(daemon)[-1].payload == "type:b\n2", what="the second event")
    events = heard(daemon)
    assert {event.line for event in events[:-1]} == {events[0].line}
    assert events[-1].head["serial"] == "1"


def test_a_listener_that_rejects_everything_does_not_keep_the_daemon_busy(
    daemons: Daemons,
) -> None:
    daemon = daemons(ears(["REMOTE_COMMUNICATION"]))
    make(daemon, "fail")
    send(daemon, "a", "1")
    tries = told(daemon, *["REMOTE_COMMUNICATION"] * 5)
    gaps = [after.at - before.at for before, after in pairwise(tries)]
    assert sum(gaps[1:]) >= sum(map(retry_delay, (2, 3, 4))) - 0.1


def test_a_listener_that_dies_leaves_its_event_to_the_next_run(daemons: Daemons) -> None:
    daemon = daemons(ears(["REMOTE_COMMUNICATION"], autorestart=True))
    make(daemon, "die")
    send(daemon, "a", "1")
    first, second = told(daemon, *["REMOTE_COMMUNICATION"] * 2)
    assert first.line == second.line
    assert first.pid != second.pid
    send(daemon, "b", "2")
    assert told(daemon, *["REMOTE_COMMUNICATION"] * 3)[2].payload == "type:b\n2"


def test_a_listener_that_babbles_hears_nothing_until_it_is_restarted(daemons: Daemons) -> None:
    daemon = daemons(ears(["REMOTE_COMMUNICATION"]))
    make(daemon, "babble")
    send(daemon, "a", "1")
    wait_until(lambda: "ears: said what no event listener may say" in daemon.log())
    unmake(daemon, "babble")
    send(daemon, "b", "2")
    assert len(heard(daemon)) == 1
    assert daemon.status("ears")["state"] == "RUNNING"
    daemon.ctl("restart", "ears")
    events = told(daemon, *["REMOTE_COMMUNICATION"] * 3)
    assert [event.payload for event in events] == ["type:a\n1", "type:a\n1", "type:b\n2"]


def test_a_listener_that_does_not_read_is_passed_over(daemons: Daemons) -> None:
    """Its event is for the next of the pool; nobody waits for the one that is deaf."""
    deaf = "exec 0</dev/null; echo READY; exec sleep 1000"
    daemon = daemons(
        ears(["REMOTE_COMMUNICATION"]).replace("[eventlistener.ears]", "[eventlistener.ears]\n"
        'numprocs = 2\nprocess_name = "ears%(process_num)d"').replace(
            '["python3", "-c", ', f'["sh", "-c", "[ %(process_num)d = 1 ] || {{ {deaf}; }}; '
            'exec \\"$@\\"", "sh", "python3", "-c", ')
    )  # fmt: skip
    wait_until(lambda: "READY" in daemon.text("log/ears.ears0.stdout.log"))
    wait_until(lambda: "READY" in daemon.text("log/ears.ears1.stdout.log"))
    send(daemon, "a", "1")
    (event,) = told(daemon, "REMOTE_COMMUNICATION")
    assert event.pid == daemon.status("ears:ears1")["pid"]
    assert "ears:ears0: does not read its input" in daemon.log()


def test_a_pool_shares_its_events(daemons: Daemons) -> None:
    daemon = daemons(ears(["REMOTE_COMMUNICATION"], numprocs=3, process_name="ears%(process_num)d"))
    make(daemon, "hang")
    for number in range(3):
        send(daemon, "n", str(number))
    events = told(daemon, *["REMOTE_COMMUNICATION"] * 3)
    assert len({event.pid for event in events}) == 3
    assert sorted(event.payload[-1] for event in events) == ["0", "1", "2"]  # at the same time
    unmake(daemon, "hang")


def test_a_full_buffer_drops_the_oldest_and_says_so(daemons: Daemons) -> None:
    daemon = daemons(ears(["REMOTE_COMMUNICATION"], buffer_size=2))
    send(daemon, "n", "first")
    told(daemon, "REMOTE_COMMUNICATION")
    make(daemon, "hang")
    for number in range(6):
        send(daemon, "n", str(number))
    unmake(daemon, "hang")
    wait_until(lambda: heard(daemon)[-1].payload == "type:n\n5", what="the last event")
    assert [event.payload[7:] for event in heard(daemon)] == ["first", "0", "4", "5"]
    assert "pool ears event buffer overflowed, discarding event 2" in daemon.log()
    assert "pool ears: 3 events were discarded" in daemon.log()


def test_a_listener_of_no_use_is_seen_everywhere(daemons: Daemons) -> None:
    """It is RUNNING: only status, why, events and the log can say that it does nothing."""
    answers = (
        "while :; do echo READY; read -r head; head -c ${head##*len:} >/dev/null; printf '%s'; done"
    )
    tables = [
        f'[eventlistener.{name}]\ncommand = {toml(sh(script))}\nevents = ["REMOTE_COMMUNICATION"]\n'
        "startsecs = 0\nbuffer_size = 1\n\n"
        for name, script in (
            ("babbler", "echo Hello, world; exec sleep 1000"),
            ("deaf", "exec 0</dev/null; echo READY; exec sleep 1000"),
            ("rejecter", answers.replace("%s", r"RESULT 4\nFAIL")),
            ("slow", "echo READY; read -r head; exec sleep 1000"),
            ("good", answers.replace("%s", r"RESULT 2\nOK")),
        )
    ]
    daemon = daemons("".join(tables))

    def trouble(name: str) -> str:
        return str((daemon.status(name)["listener"]["trouble"] or {}).get("kind"))

    def has(name: str, kind: str) -> bool:
        return trouble(name) == kind

    def ready(name: str) -> bool:
        return "READY" in daemon.text(f"log/{name}.stdout.log")

    for name in ("deaf", "slow", "rejecter", "good"):
        wait_until(partial(ready, name))
    send(daemon, "a", "1")
    wait_until(lambda: daemon.status("slow")["listener"]["waiting"] == 0)
    for number in range(4):
        send(daemon, "b", str(number))

    expected = {
        "babbler": ("protocol_broken", "said what no event listener may say ('Hello, world"),
        "deaf": ("input_closed", "does not read its input; it gets no more events"),
        "rejecter": ("events_rejected", "rejects what it is sent: "),
        "slow": ("events_dropped", "too slow for its events: 3 events dropped"),
    }
    for name, (kind, words) in expected.items():
        wait_until(partial(has, name, kind), what=f"{name}: {kind}")
        status = daemon.ctl("status", name).stdout
        assert "RUNNING" in status
        assert words in status
        told = [c["cause_data"]["kind"] for c in daemon.events(name) if c["from"] == c["to"]]
        assert told.count(kind) == 1
        said = words.partition(":")[0]
        assert sum(f": {said}" in line for line in why(daemon, name)) == 1
        assert re.search(rf"warning +{name}: {re.escape(said)}", daemon.log())
    slow = json.loads(daemon.ctl("status", "slow", "--json").stdout)["processes"][0]["listener"]
    assert (slow["dropped"], slow["waiting"], slow["rejected"]) == (3, 1, 0)
    assert trouble("good") == "None"
    daemon.ctl("restart", "babbler")
    wait_until(lambda: trouble("babbler") == "protocol_broken")
    told = [c for c in daemon.events("babbler") if c["cause_data"]["kind"] == "protocol_broken"]
    assert len(told) == 2  # once a run
    daemon.ctl("upgrade")
    wait_until(daemon.answers)
    assert [trouble(name) for name in expected] == [kind for kind, _ in expected.values()]
    daemon.ctl("stop", "slow")
    assert daemon.status("slow")["listener"] is None


def test_a_large_event_to_a_slow_reader(daemons: Daemons) -> None:
    """More than a pipe holds is written bit by bit, and nobody waits for it."""
    daemon = daemons(ears(["REMOTE_COMMUNICATION"]) + program("web", SLEEPER, startsecs=0))
    wait_until(lambda: "READY" in daemon.text("log/ears.stdout.log"))
    pid = daemon.status("ears")["pid"]
    os.kill(pid, signal.SIGSTOP)
    data = "ä" * 100_000
    send(daemon, "big", data)
    assert daemon.status("web")["state"] == "RUNNING"  # is told, while the reader sleeps
    os.kill(pid, signal.SIGCONT)
    (event,) = told(daemon, "REMOTE_COMMUNICATION")
    assert event.payload == f"type:big\n{data}"


# Around it.


def test_listeners_stop_last(daemons: Daemons) -> None:
    daemon = daemons(
        ears(["EVENT"], buffer_size=100) + program("web", SLEEPER, startsecs=0)
        + program("late", sh("trap 'sleep 0.5; exit' TERM; while :; do sleep 0.05; done"),
                  startsecs=0, priority=0)
    )  # fmt: skip
    told(daemon, *["PROCESS_STATE_RUNNING"] * 3)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    events = heard(daemon)
    assert "SUPERVISOR_STATE_CHANGE_STOPPING" in {event.name for event in events}
    assert about(events, "web")[-1][0] == "STOPPED"
    order = re.findall(r"(\w+): STOPPING -> STOPPED", daemon.log())
    assert order == ["web", "late", "ears"]


def test_a_killed_daemon_has_its_listeners_started_anew(daemons: Daemons) -> None:
    """What they were doing is not known any more; what happens meanwhile waits for them."""
    daemon = daemons(
        ears(["EVENT"])
        + program("web", SLEEPER, startsecs=0)
        + program("short", echoer("short"), startsecs=0, autorestart=False)
    )
    daemon.wait_state("short", "RUNNING")
    told(daemon, *["PROCESS_STATE_RUNNING"] * 3)
    before = daemon.status("ears")["pid"]
    web = daemon.status("web")["pid"]
    make(daemon, "hang")
    send(daemon, "a", "lost")
    told(daemon, "REMOTE_COMMUNICATION")
    count = len(heard(daemon))
    unmake(daemon, "hang")
    crash(daemon)
    wait_until(lambda: daemon.status("ears")["pid"] not in (None, before))
    assert not alive(before)
    assert daemon.status("web")["pid"] == web
    why = daemon.ctl("why", "ears").stdout
    assert "its state was lost with the daemon" in why
    send(daemon, "b", "heard")
    told(daemon, *["REMOTE_COMMUNICATION"] * 2)
    fresh = heard(daemon)[count:]
    assert fresh[0].head["serial"] == "0"
    assert {"PROCESS_GROUP_ADDED", "SUPERVISOR_STATE_CHANGE_RUNNING"} <= {e.name for e in fresh}
    no_event_twice(fresh)


def test_an_upgrade_is_nothing_to_a_listener(daemons: Daemons) -> None:
    """Also one that is busy, with events that wait: none is lost, none comes twice."""
    daemon = daemons(ears(["EVENT"], buffer_size=100) + program("web", SLEEPER, startsecs=0))
    daemon.wait_state("web", "RUNNING")
    told(daemon, *["PROCESS_STATE_RUNNING"] * 2)
    pid = daemon.status("ears")["pid"]
    make(daemon, "hang")
    for number in range(5):
        send(daemon, "n", str(number))
    upgrade(daemon)
    assert daemon.status("ears")["pid"] == pid
    send(daemon, "n", "after")
    unmake(daemon, "hang")
    events = told(daemon, *["REMOTE_COMMUNICATION"] * 6)
    assert {event.pid for event in events} == {pid}
    said = [event.payload[7:] for event in events if event.name == "REMOTE_COMMUNICATION"]
    assert said == ["0", "1", "2", "3", "4", "after"]
    no_event_twice(events)
    assert len([event for event in events if event.name == "PROCESS_GROUP_ADDED"]) == 2


def test_changed_events_are_in_force_without_a_restart(daemons: Daemons) -> None:
    daemon = daemons(ears(["TICK_3600"]))
    wait_until(lambda: "READY" in daemon.text("log/ears.stdout.log"))
    pid = daemon.status("ears")["pid"]
    send(daemon, "a", "1")
    daemon.configure(ears(["REMOTE_COMMUNICATION"]))
    assert "ears: updated" in daemon.ctl("update").stdout
    send(daemon, "b", "2")
    (event,) = told(daemon, "REMOTE_COMMUNICATION")
    assert event.payload == "type:b\n2"
    assert daemon.status("ears")["pid"] == pid


def test_what_a_listener_finds_in_its_environment(daemons: Daemons) -> None:
    daemon = daemons(
        '[eventlistener.env]\ncommand = ["sh", "-c", "env; exec sleep 1000"]\n'
        'events = ["TICK_60"]\n\n'
        '[eventlistener.own]\ncommand = ["sh", "-c", "env; exec sleep 1000"]\n'
        'events = ["TICK_60"]\nserverurl = "http://localhost:9001"\n'
    )

    def log(name: str) -> str:
        return daemon.text(f"log/{name}.stdout.log")

    wait_until(lambda: all("SERVER_URL" in log(name) for name in ("env", "own")))
    assert f"SUPERVISOR_SERVER_URL=unix://{daemon.socket}\n" in log("env")
    assert "SUPERVISOR_SERVER_URL=http://localhost:9001\n" in log("own")
    assert "SUPERVISOR_ENABLED=1\n" in log("env")


def test_the_url_of_the_gateway_goes_before(daemons: Daemons) -> None:
    daemon = daemons.prepare()
    url = f"unix://{daemon.dir}/http.sock"
    daemon.configure(
        '[eventlistener.env]\ncommand = ["sh", "-c", "env; exec sleep 1000"]\n'
        f'events = ["TICK_60"]\n\n[gateway]\nlisten = ["{url}"]\n'
    )
    daemon.start()
    said = f"SUPERVISOR_SERVER_URL={url}\n"
    wait_until(lambda: said in daemon.text("log/env.stdout.log"), what=said)


def test_nobody_writes_to_the_input_of_a_listener(daemons: Daemons) -> None:
    daemon = daemons(ears(["TICK_60"]))
    daemon.wait_state("ears", "RUNNING")
    done = daemon.ctl("send", "ears", "hello", code=1)
    assert "it is an event listener" in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('events = ["PROCES_STATE"]', 'did you mean "PROCESS_STATE"?'),
        ("events = []", "expected a list of events that is not empty"),
        ("", "events: is missing"),
        ('events = ["EVENT"]\nbuffer_size = 0', "expected a whole number, 1 or more"),
        ('events = ["EVENT"]\nredirect_stderr = true', "cannot be true"),
        ('events = ["EVENT"]\nresult_handler = "mine:handler"', 'expected "default"'),
        ('events = ["EVENT"]\nstdin = "pipe"', "unknown key"),
        ('events = ["EVENT"]\n[program.x]\ncommand = "y"', "has the name of program.x"),
        ('events = ["EVENT"]\n[group.g]\nprograms = ["x"]', "is an event listener"),
    ],
)
def test_what_cannot_be_is_complained_of(daemons: Daemons, text: str, complaint: str) -> None:
    daemon = daemons.prepare(f'[eventlistener.x]\ncommand = "y"\n{text}\n')
    assert complaint in daemon.ctl("check", str(daemon.config), code=2).stderr


def test_serials_are_those_of_one_life(daemons: Daemons) -> None:
    """Two pools that want the same event get it under one serial."""
    daemon = daemons(ears(["REMOTE_COMMUNICATION"], "a") + ears(["REMOTE_COMMUNICATION"], "b"))
    for number in range(3):
        send(daemon, "n", str(number))
    one, two = (told(daemon, *["REMOTE_COMMUNICATION"] * 3, name=name) for name in "ab")
    assert [e.head["serial"] for e in one] == [e.head["serial"] for e in two] == ["0", "1", "2"]
    assert all(int(b.head["poolserial"]) - int(a.head["poolserial"]) == 1 for a, b in pairwise(one))
