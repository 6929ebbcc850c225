"""One set of programs for both daemons, and what of their answers must be the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.programs import program, toml


@dataclass(frozen=True)
class Prog:
    """One program, for both daemons."""

    name: str
    script: str
    options: dict[str, object] = field(default_factory=dict)
    log: bool = True

    def toml(self) -> str:
        """Return its table for us."""
        options = {"stdin": "pipe", "leftovers": "keep", **self._logs(), **self.options}
        return program(self.name, self.script, **options)

    def ini(self) -> str:
        """Return its section for Supervisor."""
        lines = [f"[program:{self.name}]", f"command={self.script}"]
        for key, value in {**self._logs(), **self.options}.items():
            lines.append(f"{key}={str(value).lower() if isinstance(value, bool) else value}")
        return "\n".join(lines) + "\n\n"

    def _logs(self) -> dict[str, object]:
        if not self.log:
            return {"stdout_logfile": "none", "stderr_logfile": "none"}
        return {
            "stdout_logfile": f"%(here)s/%(program_name)s{self._number}.out",
            "stderr_logfile": f"%(here)s/%(program_name)s{self._number}.err",
        }

    @property
    def _number(self) -> str:
        return ".%(process_num)d" if "numprocs" in self.options else ""


def many(name: str, script: str, count: int, **options: object) -> Prog:
    """Return a program of several processes."""
    return Prog(name, script, {
        "numprocs": count, "process_name": "%(program_name)s_%(process_num)d", **options
    })  # fmt: skip


def config_toml(programs: Sequence[Prog], groups: dict[str, list[str]]) -> str:
    """Return the programs and groups for us."""
    parts = [p.toml() for p in programs]
    parts += [f"[group.{name}]\nprograms = {toml(list(of))}\n" for name, of in groups.items()]
    return "".join(parts)


def config_ini(programs: Sequence[Prog], groups: dict[str, list[str]], socket: str) -> str:
    """Return a whole supervisord.conf."""
    head = (
        f"[unix_http_server]\nfile={socket}\n\n[supervisord]\nnodaemon=true\nsilent=true\n"
        "logfile=%(here)s/supervisord.log\npidfile=%(here)s/supervisord.pid\n\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\n"
    )
    parts = [p.ini() for p in programs]
    parts += [f"[group:{name}]\nprograms={','.join(of)}\n\n" for name, of in groups.items()]
    return head + "".join(parts)


_SAME = (
    (re.compile(r"\bpid \d+, uptime [0-9:]+"), "pid N, uptime T"),
    (re.compile(r"^\d{2,}$", re.MULTILINE), "N"),
    (re.compile(r"\b[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M\b"), "DATE"),
    (re.compile(r"unix://\S+?\.sock"), "URL"),
    (re.compile(r"\S*/(ours|theirs)/"), "DIR/"),
    (re.compile(r"line: \d+"), "line: L"),
)


def same(text: str) -> list[str]:
    """Return the lines without what differs from run to run."""
    for pattern, word in _SAME:
        text = pattern.sub(word, text)
    return text.split("\n")
