"""Print the manual pages, as a Python dictionary of names and texts; see build.py."""

from __future__ import annotations

import re
import sys

from supervisor_lite.ctl.commands.help import NAMES
from supervisor_lite.daemon.main import parser
from supervisor_lite.protocol.commands import SLCTL

EXITS = """\
0 done; 1 failed; 2 usage or configuration error; 3 (status) something listed is not up;
4 no such process; 5 not permitted; 7 timeout, or no daemon answers."""


def roff(text: str) -> str:
    """Return text in which nothing is a command of the formatter."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    text = text.replace("…", "...").replace("→", "\\(->").replace("\u00a0", " ")
    return re.sub(r"^\.", r"\\&.", text, flags=re.MULTILINE)


def page(name: str, version: str, what: str, *parts: tuple[str, str]) -> str:
    """Return a page; the parts are headings and text that is formatted already."""
    head = f'.TH {name.upper()} 1 "" "{name} {version}" "supervisor\\-lite"\n'
    head += f".SH NAME\n{roff(name)} \\- {roff(what)}\n"
    return head + "".join(f".SH {heading}\n{text.strip()}\n" for heading, text in parts)


def items(pairs: list[tuple[str, str]]) -> str:
    """Return a list of terms and what they mean."""
    return "".join(f".TP\n.B {roff(term)}\n{roff(text)}\n" for term, text in pairs)


def daemon(version: str) -> str:
    """Return the page of the daemon."""
    made = parser()
    options = [
        (", ".join(a.option_strings) + (f" {a.metavar}" if a.metavar else ""), a.help or "")
        for a in made._actions
    ]
    signals = [
        ("SIGTERM, SIGINT, SIGQUIT", "Stop everything in order, then end; a second one kills."),
        ("SIGHUP", "Read the configuration and apply what has changed."),
        ("SIGUSR2", "Reopen all log files."),
    ]
    files = [
        ("/etc/supervisor-lite/supervisor.toml", "The main file; it includes conf.d/*.toml."),
        ("/run/supervisor-lite", "The control socket and the pipes of the programs."),
        ("/var/lib/supervisor-lite", "The journal, from which the next daemon knows what runs."),
        ("/var/log/supervisor-lite", "The logs, rotated by the daemon itself."),
    ]
    return page(
        "supervisor-lite", version, "runs programs and keeps them running",
        ("SYNOPSIS", ".B supervisor\\-lite\n[OPTION]..."),
        ("DESCRIPTION", roff(f"{made.description}\n{made.epilog}")),
        ("OPTIONS", items(options)),
        ("SIGNALS", items(signals)),
        ("FILES", items(files)),
        ("EXIT STATUS", roff("0 after an orderly end, 1 failed, 2 configuration error; with "
                             "exit_when, the exit code of the program that ended.")),
        ("SEE ALSO", ".BR slctl (1)"),
    )  # fmt: skip


def client(version: str) -> str:
    """Return the page of the client."""
    commands = [
        (f"{row.name} {row.synopsis}".strip(), f"{row.summary}.\n{row.details}".strip())
        for row in SLCTL.values()
    ]
    return page(
        "slctl", version, "drives the daemon supervisor-lite",
        ("SYNOPSIS", ".B slctl\n[\\-c FILE|DIR] [\\-s SOCKET] COMMAND ..."),
        ("DESCRIPTION", roff(f"Asks the daemon, and returns when it is true.\n{NAMES}")),
        ("COMMANDS", items(commands)),
        ("EXIT STATUS", roff(EXITS)),
        ("SEE ALSO", ".BR supervisor\\-lite (1)"),
    )  # fmt: skip


def gateway(version: str) -> str:
    """Return the page of the gateway."""
    options = [
        ("-c, --configuration FILE|DIR", "The configuration of the daemon."),
        ("-s, --socket SOCKET", "The control socket, instead of the configuration's."),
        ("-v, --version", "Show the version."),
    ]
    return page(
        "supervisor-lite-gateway", version, "serves supervisor-lite over HTTP",
        ("SYNOPSIS", ".B supervisor\\-lite\\-gateway\n[OPTION]..."),
        ("DESCRIPTION", roff("A web page, a REST interface, metrics, the XML-RPC of Supervisor.\n"
                             "Talks to the daemon through its control socket and needs no "
                             "privileges.\nWhat it serves stands in the [gateway] table of the "
                             "configuration.")),
        ("OPTIONS", items(options)),
        ("SEE ALSO", ".BR supervisor\\-lite (1)"),
    )  # fmt: skip


if __name__ == "__main__":
    number = sys.argv[1]
    pages = {"supervisor-lite": daemon, "slctl": client, "supervisor-lite-gateway": gateway}
    sys.stdout.write(repr({name: make(number) for name, make in pages.items()}))
