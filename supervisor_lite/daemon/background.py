"""`--daemonize`: detach from the terminal, and keep the caller waiting until the start is over.

Loaded only where it is asked for.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
from collections.abc import Callable
from typing import Final

from supervisor_lite.logs.outlet import tell
from supervisor_lite.model.plan import Configuration
from supervisor_lite.text import plural

_LINGER: Final = "/var/lib/systemd/linger"
"""Has a file for each user whose processes and directory outlive the last login."""


_OK: Final = "ok\n"
"""What the daemon reports to its caller, before what it has to say, if the start went well."""


def go_to_background() -> Callable[[str, str], None]:
    """Detach from the terminal (daemon(7)); return in the process that goes on.

    The caller's process ends when the function that is returned is called: with exit code 0 for
    an empty error, after printing the text beside it, else with 1 and the error; with 1, too, if
    the daemon dies before that. The function also points stderr to /dev/null; stdin and stdout are
    that at once, so that no output of a program keeps the caller's pipe open.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if os.fork() > 0:
        os.close(writer)
        _wait_for_start(reader)
    os.close(reader)
    os.setsid()
    if os.fork() > 0:
        os._exit(0)

    _point_to_null(0, 1)

    def report(error: str, done: str = "") -> None:
        _point_to_null(0, 1, 2)
        text = error or f"{_OK}{done}"
        os.write(writer, text.encode(errors="surrogateescape"))
        os.close(writer)

    return report


def started_text(configuration: Configuration, named: str | None, config: str) -> str:
    """Return the line that a caller reads when the daemon is there; run in the daemon.

    `named` is the configuration as it was given with -c.
    """
    processes = list(configuration.plan.processes())
    count = len({process.program or process.name for process in processes})
    what = plural(count, "program", "programs")
    if len(processes) != count:
        what += f" in {plural(len(processes), 'process', 'processes')}"
    look = f"slctl -c {shlex.quote(config)} status" if named is not None else "slctl status"
    socket = configuration.settings.socket
    return f'supervisor-lite runs as pid {os.getpid()} with {what}, socket "{socket}": `{look}`\n'


def _point_to_null(*numbers: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for number in numbers:
        os.dup2(null, number)
    if null not in numbers:
        os.close(null)


def linger_warning(runtime_dir: str) -> str:
    """Return what a user should know whose runtime directory goes with the last login; or ""."""
    login_dir = os.environ.get("XDG_RUNTIME_DIR")
    if os.geteuid() == 0 or not login_dir or not f"{runtime_dir}/".startswith(f"{login_dir}/"):
        return ""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    if os.path.exists(f"{_LINGER}/{name}"):
        return ""
    return (
        f'with your last login, "{login_dir}" is removed, and this daemon may be ended;'
        f" to keep both: loginctl enable-linger {name}"
    )


def _wait_for_start(reader: int) -> None:
    """Exit as the daemon's start went, when it is over."""
    with os.fdopen(reader, "rb") as pipe:
        result = pipe.read()
    ok = _OK.encode()
    if result.startswith(ok):
        with contextlib.suppress(OSError):
            os.write(1, result.removeprefix(ok))
        os._exit(0)
    tell(result.decode() or "the daemon died while starting\n")
    os._exit(1)
