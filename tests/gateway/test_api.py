"""REST, events, metrics: what they tell is what the daemon tells."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.gateway.daemon import own_process
from tests.gateway.conftest import Served, basic
from tests.gateway.tools import Gateway, UnixConnection, ask
from tests.programs import program, sh
from tests.support import Daemons, wait_until

API = "/api/v1"


@contextlib.contextmanager
def stream(served: Served, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    """A response that goes on."""
    with open_stream(served.gateway.socket, path, **headers) as reply:
        yield reply


@contextlib.contextmanager
def open_stream(socket: Path, path: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    with contextlib.closing(UnixConnection(socket, timeout=20)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers=named)
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
        yield reply
        reply.close()


class Sse:
    """Reads server-sent events."""

    def __init__(self, reply: http.client.HTTPResponse) -> None:
        self._reply = reply

    def next(self, *kinds: str, name: str = "") -> dict[str, Any]:
        """Return the data of the next event of these kinds (about this process), with its id."""
        fields: dict[str, str] = {}
        while True:
            line = self._reply.readline().decode().rstrip("\n")
            assert self._reply.fp is not None, "the stream has ended"
            if line:
                key, _, value = line.partition(": ")
                fields[key] = value
                continue
            if fields.get("event") in kinds:
                data: dict[str, Any] = json.loads(fields["data"])
                if name in ("", data.get("name"), data.get("fullname")):
                    return {**data, "id": fields.get("id"), "event": fields["event"]}
            fields = {}


def test_processes_are_as_in_the_status(served: Served) -> None:
    rows = served.get(f"{API}/processes").json()["processes"]
    assert [row["fullname"] for row in rows] == [
        "cat", "colours", "fatal", "manual", "odd", "web:web_0", "web:web_1"
    ]  # fmt: skip
    status = {p["fullname"]: p for p in served.daemon.call("status")["processes"]}
    for row in rows:
        known = status[row["fullname"]]
        assert {k: v for k, v in row.items() if k != "uptime"} == {
            k: v for k, v in known.items() if k != "up_since"
        }
        assert (row["uptime"] is None) == (known["up_since"] is None)
    some = served.get(f"{API}/processes?name=web&name=cat").json()["processes"]
    assert {row["fullname"] for row in some} == {"cat", "web:web_0", "web:web_1"}


def test_usage_is_of_all_processes_of_a_run(served: Served) -> None:
    found = {row["fullname"]: row for row in served.get("/api/v1/usage").json()["processes"]}
    assert found.keys() == {"cat", "colours", "odd", "web:web_0", "web:web_1"}, "who runs"
    cat = found["cat"]
    assert cat["processes"] == 1
    assert found["odd"]["processes"] == 2
    assert cat["memory_bytes"] > 100_000
    assert cat["cpu_seconds"] >= 0
    assert cat["run"] == served.daemon.status("cat")["run"]


def test_one_process_is_found_by_its_name_encoded_or_not(served: Served) -> None:
    for name in ("web:web_1", "web%3Aweb_1"):
        assert served.get(f"{API}/processes/{name}").json()["name"] == "web_1"
    nope = served.unix("GET", f"{API}/processes/nope")
    error = {"status": 404, "message": "no such process: nope", "code": "no_such_process"}
    assert (nope.status, nope.json()) == (404, {"error": error})
    assert served.unix("GET", f"{API}/processes/web").status == 409
    assert served.unix("GET", f"{API}/no").status == 404


def test_start_stop_restart_signal(served: Served) -> None:
    one = f"{API}/processes/manual"
    done = served.post(f"{one}/start").json()["results"]
    assert [(r["fullname"], r["ok"], r["result"]) for r in done] == [("manual", True, "started")]
    pid = served.get(one).json()["pid"]
    assert served.post(f"{one}/restart", '{"timeout": 20}').status == 200
    assert served.get(one).json()["pid"] != pid
    assert served.post(f"{one}/signal", '{"signal": "CONT"}').json()["results"][0]["ok"]
    assert served.post(f"{one}/signal", '{"signal": "NOPE"}').status == 422
    assert served.post(f"{one}/stop", '{"wait": false}').status == 200
    served.daemon.wait_state("manual", "STOPPED")
    by = [
        c["by"] for c in served.daemon.call("events", limit=20)["changes"] if c["name"] == "manual"
    ]
    for verb in ("start", "signal CONT"):
        assert any(re.search(rf"for uid \d+ over HTTP: slctl {verb} manual", text) for text in by)


def test_what_could_not_be_done_is_a_conflict_with_the_reason(served: Served) -> None:
    failed = served.post(f"{API}/processes/fatal/start")
    assert failed.status == 409
    (result,) = failed.json()["results"]
    assert (result["ok"], result["result"]) == (False, "failed")
    assert "exit 3" in result["reason"]
    served.daemon.wait_state("fatal", "FATAL")


@pytest.mark.parametrize(("path", "body", "status"), [
    ("/processes/manual/start", "not json", 400), ("/processes/manual/start", "[]", 400),
    ("/processes/manual/start", '{"nope": 1}', 400),
    ("/processes/manual/start", '{"wait": "x"}', 400),
    ("/processes/manual/signal", "{}", 400), ("/processes/manual/signal", '{"signal": 5}', 400),
    ("/processes/nope/start", "{}", 404), ("/processes/nope/send", '{"text": "x"}', 404),
    ("/processes/manual/send", '{"text": "x"}', 409), ("/update", '{"names": ["nope"]}', 404),
    ("/update", '{"names": "nope"}', 400), ("/processes/manual/start", "[" * 30000, 400),
])  # fmt: skip
def test_what_is_wrong_is_told(served: Served, path: str, body: str, status: int) -> None:
    answer = served.post(f"{API}{path}", body)
    assert answer.status == status, answer
    assert answer.json()["error"]["message"]


def test_the_configuration_can_be_read_and_applied(daemons: Daemons) -> None:
    daemon = daemons(program("web", "sleep 100000", startsecs=0))
    with contextlib.closing(Gateway(daemon).start()) as gateway:
        served = Served(daemon, gateway, 0)
        daemon.configure(program("other", "sleep 100000", startsecs=0))
        found = served.post(f"{API}/reread").json()
        assert (found["added"], found["removed"], found["changed"]) == (["other"], ["web"], [])
        with stream(served, "/events") as reply:
            events = Sse(reply)
            assert [p["name"] for p in events.next("snapshot")["processes"]] == ["web"]
            done = served.post(f"{API}/update").json()["results"]
            assert {r["name"]: r["result"] for r in done if r["result"] != "stopped"} == {
                "web": "removed", "other": "added"
            }  # fmt: skip
            told: set[str] = set()
            while told != {"process other", "gone web"}:
                event = events.next("process", "gone")
                if event["fullname"] == "other" or event["event"] == "gone":
                    told.add(f"{event['event']} {event['fullname']}")
        daemon.configure("[program.x]\ncommand = 5\n")
        broken = served.post(f"{API}/reread")
        assert broken.status == 422
        assert "program.x.command" in broken.json()["error"]["details"][0]


def test_logs_once_and_as_they_come(served: Served) -> None:
    wait_until(lambda: "plain" in served.get(f"{API}/processes/colours/log/stdout").text)
    answer = served.get(f"{API}/processes/colours/log/stdout")
    assert answer.body == b"\x1b[31mred\x1b[0m plain\n"
    assert served.get(f"{API}/processes/colours/log/stdout?bytes=6").text == "plain\n"
    assert served.unix("GET", f"{API}/processes/colours/log/nope").status == 409
    assert served.unix("GET", f"{API}/processes/colours/log/stdout?bytes=x").status == 400
    assert served.get(f"{API}/log?bytes=200").text
    with stream(served, f"{API}/processes/cat/log/stdout?follow=true&bytes=0") as reply:
        assert served.post(f"{API}/processes/cat/send", '{"text": "Äpfel\\n"}').json() == {
            "sent": 7
        }
        assert reply.readline().decode() == "Äpfel\n"
    served.post(f"{API}/processes/cat/clear")
    assert served.get(f"{API}/processes/cat/log/stdout").text == ""


@pytest.mark.timeout(120)
def test_a_log_of_any_size_and_through_the_death_of_the_daemon(daemons: Daemons) -> None:
    """Whole over HTTP and XML-RPC, rotated files included; then nothing is left out."""
    count = 900_000
    daemon = daemons(
        program("big", f"sh -c 'seq 1 {count}; exec cat'", stdin="pipe", startsecs=0,
                stdout_logfile_maxbytes="2MB", stdout_logfile_backups=20)
    )  # fmt: skip
    whole = "".join(f"{n}\n" for n in range(1, count + 1))
    wait_until(lambda: daemon.ctl("tail", "-7", "big").stdout == f"{count}\n", 60)
    path = f"{API}/processes/big/log/stdout"
    with contextlib.closing(Gateway(daemon).start()) as gateway:
        assert ask(gateway.socket, "GET", f"{path}?bytes=99999999").text == whole
        assert gateway.rpc("supervisor.readProcessStdoutLog", "big", -99999999, 0) == whole
        live = daemon.text("log/big.stdout.log")
        assert gateway.rpc("supervisor.readProcessStdoutLog", "big", 0, 0) == live
        with (
            open_stream(gateway.socket, f"{path}?follow=true&bytes=7") as rest,
            open_stream(gateway.socket, "/logtail/big") as tail,
        ):
            assert rest.readline().decode() == f"{count}\n"
            while tail.readline().decode() != f"{count}\n":
                pass
            assert daemon.process is not None
            daemon.process.kill()
            daemon.process.wait()
            daemon.start()
            daemon.ctl("send", "big", "after")
            assert rest.readline() == b"after\n"
            daemon.ctl("upgrade")
            daemon.ctl("send", "big", "more")
            assert rest.readline() == b"more\n"
            assert [tail.readline(), tail.readline()] == [b"after\n", b"more\n"]


def test_runs_why_explain_events(served: Served) -> None:
    runs = served.get(f"{API}/processes/fatal/runs?limit=1").json()["runs"]
    assert [(run["name"], run["exitcode"]) for run in runs] == [("fatal", 3)]
    assert len(served.get(f"{API}/runs").json()["runs"]) > 3
    assert "no database" in "\n".join(served.get(f"{API}/processes/fatal/why").json()["lines"])
    assert served.get(f"{API}/processes/fatal/explain").json()["schedule"]
    changes = served.get(f"{API}/events?limit=5").json()["changes"]
    later = served.get(f"{API}/events?since={changes[0]['serial']}").json()["changes"]
    assert [c["serial"] for c in later] == [c["serial"] for c in changes[1:]]


def test_the_description_has_every_endpoint_and_its_answers(served: Served) -> None:
    document = served.get(f"{API}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    names = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names.add(operation["operationId"])
            if method == "get" and operation["responses"]["200"]["content"].keys() == {
                "application/json"
            }:
                schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
                schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
                body = served.get(path.replace("{name}", "cat")).json()
                assert set(schema.get("properties", {})) <= set(body), path
                assert set(body) <= set(schema.get("properties", body)), path
    assert len(names) == sum(map(len, document["paths"].values()))


# Events


def test_changes_come_as_they_happen_and_are_not_lost_in_between(served: Served) -> None:
    with stream(served, "/events") as reply:
        assert reply.getheader("content-type") == "text/event-stream; charset=utf-8"
        events = Sse(reply)
        rows = events.next("snapshot")["processes"]
        assert {row["fullname"] for row in rows} >= {"cat", "manual"}
        served.post(f"{API}/processes/manual/start")
        change = events.next("change", name="manual")
        assert (change["from"], change["to"]) == ("STOPPED", "STARTING")
        while (row := events.next("process", name="manual"))["state"] != "RUNNING":
            pass
        assert row["pid"]
        assert row["uptime"] < 10
    served.post(f"{API}/processes/manual/stop")
    with stream(served, "/events", Last_Event_ID=change["id"]) as reply:
        events = Sse(reply)
        seen = [events.next("change", name="manual")["to"] for _ in range(3)]
        assert seen == ["RUNNING", "STOPPING", "STOPPED"]
        assert events.next("snapshot", "change")["event"] == "snapshot"
    assert served.unix("GET", "/events", Last_Event_ID="x").status == 400


def test_a_daemon_that_goes_and_comes_is_told(daemons: Daemons) -> None:
    daemon = daemons(program("web", COUNTING, startsecs=0), survivors=True)
    gateway = Gateway(daemon)
    served = Served(daemon, gateway, 0)
    log = f"{API}/processes/web/log/stdout?follow=true"
    wanted = {"Accept": "text/event-stream"}
    with (
        contextlib.closing(gateway.start()),
        stream(served, "/events") as reply,
        stream(served, f"{log}&bytes=0", **wanted) as followed,
    ):
        events, lines = Sse(reply), Lines(followed)
        events.next("snapshot")
        lines.more(20)
        daemon.ctl("shutdown", "--leave-running")
        daemon.wait_exit()
        assert events.next("daemon")["connected"] is False
        assert served.unix("GET", f"{API}/processes").status == 503
        assert served.unix("POST", "/RPC2", CALL, **XML).status == 503
        assert "supervisor_lite_up 0\n" in served.get("/metrics").text
        daemon.start()
        assert events.next("daemon")["connected"] is True
        assert [p["name"] for p in events.next("snapshot")["processes"]] == ["web"]
        lines.more(20)
        assert lines.are_complete(), lines.numbers
        assert "down" in lines.kinds
        assert daemon.process is not None
        daemon.process.kill()
        daemon.wait_exit()
        daemon.start()
        lines.more(20)
        with stream(served, f"{log}&after={lines.mark}", **wanted) as another:
            lines.source = Sse(another)
            lines.more(20)
    assert lines.are_complete(), lines.numbers


COUNTING = sh("i=0; while :; do i=$((i + 1)); echo $i; sleep 0.02; done")


class Lines:
    """The numbers that COUNTING has written, as a client of its log hears of them."""

    def __init__(self, reply: http.client.HTTPResponse) -> None:
        self.source = Sse(reply)
        self.mark = ""
        self.kinds: set[str] = set()
        self.text = ""

    def more(self, count: int) -> None:
        """Wait for so many lines more."""
        wanted = self.text.count("\n") + count
        while self.text.count("\n") < wanted:
            found = self.source.next("begin", "output", "down", "missed", "end")
            self.kinds.add(found["event"])
            self.mark = found["id"] or self.mark
            self.text += found.get("data", "")

    @property
    def numbers(self) -> list[int]:
        """What has come."""
        return [int(line) for line in self.text.splitlines()[:-1]]

    def are_complete(self) -> bool:
        """Is there no gap, and no line twice?"""
        first = self.numbers[0]
        return self.numbers == list(range(first, first + len(self.numbers)))


CALL = "<methodCall><methodName>supervisor.getPID</methodName></methodCall>"
XML = {"Content_Type": "text/xml"}


# Metrics

_SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\})? (-?[0-9.e+-]+)$')


def samples(text: str) -> dict[tuple[str, frozenset[str]], float]:
    """Parse the exposition format, strictly."""
    found: dict[tuple[str, frozenset[str]], float] = {}
    families = set()
    for line in text.splitlines():
        if line.startswith("# "):
            _, kind, name, rest = line.split(" ", 3)
            assert rest
            families.add((kind, name))
            continue
        match = _SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        assert {("HELP", name), ("TYPE", name)} <= families
        key = (name, frozenset((labels or "").split(",")) - {""})
        assert key not in found, line
        found[key] = float(value)
    return found


def test_metrics_tell_state_and_use(served: Served) -> None:
    answer = served.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)

    def of(name: str, process: str, group: str = "", *more: str) -> float:
        labels = frozenset((f'name="{process}"', f'group="{group or process}"', *more))
        return found[(f"supervisor_lite_process_{name}", labels)]

    assert found[("supervisor_lite_up", frozenset())] == 1
    assert (of("state", "cat"), of("state", "fatal"), of("state", "manual")) == (20, 200, 0)
    assert (of("up", "web_0", "web"), of("up", "fatal")) == (1, 0)
    assert of("exit_code", "fatal") == 3
    assert of("uptime_seconds", "cat") > 0
    assert of("resident_memory_bytes", "cat") > 100_000
    assert of("cpu_seconds_total", "cat") >= 0
    assert found[("supervisor_lite_daemon_resident_memory_bytes", frozenset())] > 5_000_000
    assert found[("supervisor_lite_processes", frozenset(('state="FATAL"',)))] == 1


REFUSALS = {
    "no address": ("GET", "/api/v1/nope", None, {}, 404, "there is nothing at /api/v1/nope"),
    "no address before": ("GET", "/api", None, {}, 404, "there is nothing at /api"),
    "no process": ("GET", f"{API}/processes/nope", None, {}, 404,
                   "no such process: nope"),
    "another method": ("GET", f"{API}/processes/cat/stop", None, {}, 405, "use POST"),
    "no form": ("POST", f"{API}/processes/cat/stop", "a=b", {"Content_Type": "text/plain"}, 403,
                "needs the header X-Supervisor-Lite"),
    "no JSON": ("POST", f"{API}/processes/cat/stop", "{", {}, 400, "line 1 column 2"),
    "no object": ("POST", f"{API}/processes/cat/stop", "[]", {}, 400, "must be a JSON object"),
    "XML": ("POST", f"{API}/processes/cat/stop", "<a/>", {"Content_Type": "text/xml"}, 415,
            "must be JSON (application/json), not text/xml"),
    "unknown key": ("POST", f"{API}/processes/cat/stop", '{"wat": 1}', {}, 400,
                    'unknown key "wat"; the body takes "wait", "timeout"'),
    "missing key": ("POST", f"{API}/processes/cat/signal", "{}", {}, 400, '"signal" is missing'),
    "a wrong type": ("POST", f"{API}/processes/cat/stop", '{"wait": 1}', {}, 400, "true or false"),
    "a wrong number": ("GET", f"{API}/events?limit=x", None, {}, 400,
                       'limit must be a whole number, not "x"'),
    "a wrong flag": ("GET", f"{API}/processes/cat/log/stdout?follow=1", None, {}, 400,
                     'follow must be true or false, not "1"'),
    "too large": ("POST", f"{API}/processes/cat/send", "x" * 70000, {}, 413, "at most 65536 bytes"),
    "a long address": ("GET", f"{API}/{'x' * 9000}", None, {}, 414, "at most 8192 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_json_that_says_what_helps(
    served: Served, case: tuple[str, str, str | None, dict[str, str], int, str]
) -> None:
    method, path, body, headers, status, text = case
    if body is not None:
        headers = {"Content_Type": "application/json", **headers}
    answer = served.unix(method, path, body, **headers)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    error = answer.json()["error"]
    assert error["status"] == status
    assert text in error["message"]


def test_who_is_not_let_in_is_told_so_in_json(served: Served) -> None:
    unknown = served.tcp("GET", f"{API}/processes")
    assert (unknown.status, unknown.json()["error"]["status"]) == (401, 401)
    assert "www-authenticate" in unknown.headers
    headers = {"Content_Type": "application/json", **basic("view")}
    few = served.tcp("POST", f"{API}/processes/cat/stop", "{}", **headers)
    assert few.status == 403
    assert few.json()["error"]["message"].endswith("this needs the role operate, and view has view")
    other = served.tcp("GET", f"{API}/processes", Host="evil.example")
    assert (other.status, other.json()["error"]["status"]) == (421, 421)
    # Elsewhere it is a line of text, unless JSON is asked for.
    assert served.tcp("GET", "/metrics").text == "a name and a password are needed\n"
    assert served.unix("GET", "/nope", Accept="application/json").json()["error"]["status"] == 404


def test_the_root_of_the_interface_leads_to_its_description(served: Served) -> None:
    described = served.get(f"{API}/openapi.json").json()
    assert served.get(f"{API}/").json() == served.get(API).json() == described


def test_what_failed_is_told_beside_the_results(served: Served) -> None:
    answer = served.post(f"{API}/processes/fatal/start").json()
    assert answer["error"]["status"] == 409
    assert answer["error"]["message"].startswith("fatal: ")


def test_starts_and_ends_are_counted_by_cause(served: Served) -> None:
    def count(name: str, *labels: str) -> float:
        key = (f"supervisor_lite_process_{name}_total", frozenset(('name="web_1"', *labels)))
        return samples(served.get("/metrics").text).get((key[0], key[1] | {'group="web"'}), 0)

    asked, killed = count("starts", 'cause="asked"'), count("starts", 'cause="signal"')
    served.post(f"{API}/processes/web:web_1/restart")
    served.post(f"{API}/processes/web:web_1/signal", '{"signal": "KILL"}')
    wait_until(lambda: count("starts", 'cause="signal"') == killed + 1)
    assert count("starts", 'cause="asked"') == asked + 1
    assert count("exits", 'status="SIGKILL"', 'expected="false"') >= 1
    served.daemon.wait_state("web:web_1", "RUNNING")


# The files of the page


def test_the_page_is_served_and_not_sent_twice(served: Served) -> None:
    page = served.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert served.unix("GET", "/", If_None_Match=page.headers["etag"]).status == 304
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert served.get(path).body
    everything = page.text + served.get("/app.js").text + served.get("/style.css").text
    assert not re.search(r"https?://|url\(|@import", everything)
    assert "style=" not in page.text
    assert not re.search(r"\son[a-z]+=", page.text)
    sent = 0
    for path in ("/", *re.findall(r'(?:src|href)="(/[^"]+)"', page.text)):
        packed = served.unix("GET", path, Accept_Encoding="gzip").body
        assert gzip.decompress(packed) == served.get(path).body
        sent += len(packed)
    assert sent < 33_000, "small enough for a slow line"


def test_signing_out_makes_the_browser_forget(served: Served) -> None:
    """It is refused once, whatever it shows; who signs in at the prompt is let in."""
    once = served.tcp("GET", "/signout?once=7", **basic("view"))
    assert once.status == 401
    assert once.headers["www-authenticate"].startswith("Basic realm=")
    assert "signed out" in once.text
    again = served.tcp("GET", "/signout?once=7", **basic("view"))
    assert (again.status, again.headers["location"]) == (303, "/")
    assert served.tcp("GET", "/signout?once=8", **basic("view")).status == 401
    about = served.tcp("GET", "/api/v1/daemon", **basic("view")).json()
    assert (about["user"], about["password"], about["gateway"]) == ("view", True, None)
    assert served.get("/api/v1/daemon").json()["password"] is False


def test_the_gateway_knows_which_process_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPERVISOR_LITE_RUN", "abc:17")
    monkeypatch.setenv("SUPERVISOR_GROUP_NAME", "front")
    monkeypatch.setenv("SUPERVISOR_PROCESS_NAME", "gateway")
    assert own_process() == {"fullname": "front:gateway", "run": 17}
    monkeypatch.setenv("SUPERVISOR_GROUP_NAME", "gateway")
    assert own_process() == {"fullname": "gateway", "run": 17}
    monkeypatch.delenv("SUPERVISOR_LITE_RUN")
    assert own_process() is None
