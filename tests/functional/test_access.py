"""Who may do what: another user on the socket, roles per program, and attempts to get in."""

from __future__ import annotations

import json
import os
import pwd
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, alive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = pwd.getpwnam("nobody").pw_uid

# Connects as another user and prints the reply to each request.
_CLIENT = """
import json, os, socket, sys
path, uid, *requests = sys.argv[1:]
sock = socket.socket(socket.AF_UNIX)
os.setgroups([]); os.setgid(int(uid)); os.setuid(int(uid))
try:
    sock.connect(path)
except OSError as error:
    print(json.dumps({"refused": error.errno})); sys.exit()
stream = sock.makefile("rb")
for number, text in enumerate(requests):
    method, _, params = text.partition(" ")
    line = {"jsonrpc": "2.0", "id": number, "method": method, "params": json.loads(params or "{}")}
    try:
        sock.sendall(json.dumps(line).encode() + b"\\n")
    except OSError:
        break
for line in stream:
    print(line.decode(), end="")
    if len(requests) == 1 or json.loads(line).get("id") == len(requests) - 1:
        break
"""


def as_nobody(daemon: Daemon, *requests: str) -> list[dict[str, object]]:
    """Return the replies that another user gets."""
    done = subprocess.run(
        [sys.executable, "-c", _CLIENT, str(daemon.socket), str(NOBODY), *requests],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


RULES = """
[[access]]
users = ["nobody"]
role = "view"

[[access]]
users = ["nobody"]
role = "operate"
programs = ["site*"]
"""

PROGRAMS = program("site", SLEEPER) + program("secret", SLEEPER) + RULES


@pytest.fixture
def open_daemon(daemons: Daemons) -> Daemon:
    """A daemon whose socket everybody may connect to, with rules for nobody."""
    daemon = daemons(PROGRAMS, settings='socket_mode = "0666"')
    daemon.wait_state("site", "RUNNING")
    daemon.wait_state("secret", "RUNNING")
    return daemon


def test_the_socket_keeps_others_out(daemons: Daemons) -> None:
    """With the default mode another user cannot even connect."""
    daemon = daemons(program("web", SLEEPER))
    assert as_nobody(daemon, "status") == [{"refused": 13}]


def test_without_a_rule_nobody_gets_anything(daemons: Daemons) -> None:
    """An open socket is not a grant: access is denied by default, and the denial is logged."""
    daemon = daemons(program("web", SLEEPER), settings='socket_mode = "0666"')
    (reply,) = as_nobody(daemon, "status")
    assert reply["error"]["code"] == 5  # type: ignore[index]
    assert f"uid={NOBODY}" in daemon.log()


def test_a_viewer_sees_and_an_operator_of_one_program_operates_it(open_daemon: Daemon) -> None:
    """Grants add up, each for its own programs."""
    secret = open_daemon.status("secret")["pid"]
    replies = as_nobody(
        open_daemon,
        "status",
        'restart {"names": ["site"]}',
    )
    assert len(replies[0]["result"]["processes"]) == 2  # type: ignore[index]
    assert replies[1]["result"]["results"][0]["result"] == "restarted"  # type: ignore[index]
    for verb in ("stop", "restart", "clear"):
        (reply,) = as_nobody(open_daemon, f'{verb} {{"names": ["secret"]}}')
        assert reply["error"]["code"] == 5  # type: ignore[index]
    (reply,) = as_nobody(open_daemon, 'signal {"signal": "KILL", "names": ["secret"]}')
    assert reply["error"]["code"] == 5  # type: ignore[index]
    assert alive(secret)
    assert open_daemon.status("secret")["pid"] == secret


def test_one_forbidden_name_forbids_the_whole_request(open_daemon: Daemon) -> None:
    """Nothing is done in half."""
    site = open_daemon.status("site")["pid"]
    (reply,) = as_nobody(open_daemon, 'stop {"names": ["all"]}')
    assert reply["error"]["code"] == 5  # type: ignore[index]
    assert open_daemon.status("site")["pid"] == site


def test_what_one_may_not_see_is_not_meant_by_all(daemons: Daemons) -> None:
    """Names that may mean many mean those one sees, and tell nothing of others."""
    rule = '[[access]]\nusers = ["nobody"]\nrole = "operate"\nprograms = ["site:site"]\n'
    programs = program("site", SLEEPER, startsecs=0) + program("secret", SLEEPER) + rule
    daemon = daemons(programs, settings='socket_mode = "0666"')
    daemon.wait_state("site", "RUNNING")
    all_seen, many, hidden, guessed, stopped = as_nobody(
        daemon,
        'status {"names": ["all"]}',
        'tail {"name": "s*"}',
        'status {"names": ["sec*"]}',
        'status {"names": ["secret"]}',
        'stop {"names": ["*"]}',
    )
    assert [p["name"] for p in all_seen["result"]["processes"]] == ["site"]  # type: ignore[index]
    assert "secret" not in json.dumps(as_nobody(daemon, "definitions"))
    assert many["result"]["fullname"] == "site"  # type: ignore[index]
    unknown = {"code": "no_such_process", "names": ["sec*"]}
    assert hidden["error"] == {"code": 4, "message": "sec*", "data": unknown}
    assert guessed["error"]["code"] == 5  # type: ignore[index]
    assert [r["result"] for r in stopped["result"]["results"]] == ["stopped"]  # type: ignore[index]
    assert daemon.status("secret")["wanted"] is True


@pytest.mark.parametrize(
    "request_line",
    ["shutdown", "reload", "update", "reread", "upgrade", "maintail", 'add {"names": ["x"]}',
     'remove {"names": ["site"]}', 'shutdown {"leave_running": true}'],
)  # fmt: skip
def test_an_operator_cannot_administrate(open_daemon: Daemon, request_line: str) -> None:
    """What concerns the daemon is for admins."""
    (reply,) = as_nobody(open_daemon, request_line)
    assert reply["error"]["code"] == 5  # type: ignore[index]
    assert open_daemon.answers()


def test_slctl_says_not_permitted_and_exits_5(open_daemon: Daemon) -> None:
    """The exit code of a denial is 5 and the text names the way out."""
    script = "; ".join(
        [
            "import os, sys",
            "from supervisor_lite.ctl.main import main",
            f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})",
            f"sys.exit(main(['-s', '{open_daemon.socket}', 'stop', 'secret']))",
        ]
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    loaded = ("commands.processes", "render", "commands.help")
    warm = "".join(f"import supervisor_lite.ctl.{name}; " for name in loaded)
    done = subprocess.run(
        [sys.executable, "-c", warm + script], capture_output=True, text=True, env=env, timeout=30
    )
    assert done.returncode == 5, done.stderr
    assert f'uid {NOBODY} (nobody) may not use "stop" on "secret"' in done.stderr


def test_who_asked_is_recorded(open_daemon: Daemon) -> None:
    """The change says which uid asked, from which process, for what."""
    as_nobody(open_daemon, 'stop {"names": ["site"]}')
    assert f"uid {NOBODY} (nobody)" in open_daemon.status("site")["reason"]
    assert "slctl stop site" in open_daemon.status("site")["reason"]


def test_a_link_in_place_of_a_fifo_is_not_followed(daemons: Daemons) -> None:
    """Somebody who could write there must not make the daemon open another file."""
    daemon = daemons.prepare(program("web", SLEEPER, autostart=False))
    daemon.start()
    fifos = daemon.dir / "run" / "fifo"
    fifos.mkdir(mode=0o700, exist_ok=True)
    target = daemon.dir / "target"
    target.write_text("precious")
    (fifos / "web:web.stdout").symlink_to(target)
    daemon.ctl("start", "web", code=1)
    assert target.read_text() == "precious"
    assert "cannot" in daemon.status("web")["reason"]


def test_a_runtime_directory_that_others_may_write_is_refused(daemons: Daemons) -> None:
    """The daemon does not start where anybody could plant a socket."""
    daemon = daemons.prepare(program("web", SLEEPER))
    (daemon.dir / "run").mkdir()
    (daemon.dir / "run").chmod(0o777)
    daemon.launch()
    assert daemon.wait_exit() == 1
    assert "everybody may write" in daemon.log()


def test_a_foreign_runtime_directory_is_refused(daemons: Daemons) -> None:
    """Nor in a directory that belongs to somebody else."""
    daemon = daemons.prepare(program("web", SLEEPER))
    (daemon.dir / "state").mkdir()
    os.chown(daemon.dir / "state", NOBODY, NOBODY)
    daemon.launch()
    assert daemon.wait_exit() == 1
    assert f"belongs to uid {NOBODY}" in daemon.log()


def test_a_peer_that_sends_forever_is_cut_off(open_daemon: Daemon) -> None:
    """A line without an end is refused at the limit, and the daemon goes on."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(open_daemon.socket))
        sock.settimeout(10)
        with pytest.raises(OSError):  # noqa: PT012 the peer hangs up in the middle of it
            for _ in range(1000):
                sock.sendall(b"x" * 65536)
    assert open_daemon.answers()


def test_credentials_are_the_kernels_not_the_clients(open_daemon: Daemon) -> None:
    """What a client says about itself is a parameter like any other: unknown."""
    (reply,) = as_nobody(open_daemon, 'stop {"names": ["secret"], "uid": 0}')
    assert reply["error"]["code"] in (5, -32602)  # type: ignore[index]
    assert open_daemon.status("secret")["state"] == "RUNNING"


def test_a_faked_run_identity_does_not_get_a_process_killed(daemons: Daemons) -> None:
    """A stranger that carries a run's identity, but is no descendant, survives its stop."""
    daemon = daemons(program("web", SLEEPER))
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    marker = dict(
        pair.split("=", 1)
        for pair in Path(f"/proc/{pid}/environ").read_text().split("\0")
        if "=" in pair
    )["SUPERVISOR_LITE_RUN"]
    with subprocess.Popen(
        ["sleep", "100"], env={"SUPERVISOR_LITE_RUN": marker, "PATH": "/bin:/usr/bin"}
    ) as stranger:
        try:
            daemon.ctl("stop", "web")
            assert alive(stranger.pid)
        finally:
            stranger.kill()


def test_peer_credentials_have_the_size_we_read() -> None:
    """struct ucred is pid, uid, gid (unix(7))."""
    left, right = socket.socketpair()
    with left, right:
        size = struct.calcsize("iII")
        data = left.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        assert struct.unpack("iII", data) == (os.getpid(), os.getuid(), os.getgid())
