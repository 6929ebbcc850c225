"""Whatever stands in Supervisor's file, what it becomes can be loaded. `make fuzz` tries more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import strategies as st

from supervisor_lite.migrate import keys
from supervisor_lite.migrate.converter import convert
from tests.fuzzing import TIMEOUT, fuzz
from tests.migrate.converting import loaded, write_out

pytestmark = pytest.mark.timeout(TIMEOUT)

odd_values = st.one_of(
    st.sampled_from(
        [
            *("true", "no", "0", "1", "-1", "2", "999999999999", "10MB", "022", "unexpected"),
            *("NONE", "auto", "syslog", "TERM", "USR1", "0,2", "root", "", "a b", "*", "#", "a;b"),
            *("/tmp/x.log", "/tmp/x.log.1", "x.log", "~", "~/a", "unix:///tmp/s", ":9", "{SHA}a"),
            *("%", "%%", "%%%%", "%(program_name)s", "%(process_num)02d", "p%(process_num)d"),
            *("%(group_name)s", "%(ENV_HOME)s", "%(here)s/x", 'A="1",B=2', "A=1", "'", '"', "\\"),
            *("x", "y", "x,y", "x, x", "g", "é"),
            *("tcp://localhost:9", "TCP://*:9", "tcp://[::1]:9", "tcp://x:%(ENV_P)s", "daemon:"),
            *("unix://%(here)s/s", "unix:///a/%(program_name)s/../b", "unix:///a/b", "daemon:adm"),
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=6),
)  # fmt: skip
all_keys = [
    *sorted({key for _, options in keys.KINDS.values() for key in options}),
    "file", "chmod", "chown", "username", "password", "port", "nonsense",
]  # fmt: skip
headers = st.sampled_from(
    ["supervisord", "program:x", "program:y", "program: y", "program:g", "group:g", "group:x",
     "group:h", "unix_http_server", "inet_http_server", "eventlistener:l", "fcgi-program:x",
     "fcgi-program:z",
     "DEFAULT", "supervisorctl", "rpcinterface:supervisor", "other"]
)  # fmt: skip
sections = st.tuples(
    headers, st.booleans(), st.lists(st.tuples(st.sampled_from(all_keys), odd_values), max_size=6)
)


def test_the_result_can_always_be_loaded(tmp_path: Path) -> None:
    """Whatever the parser can read becomes TOML without a mistake, on the right machine."""

    def check(some: list[tuple[str, bool, list[tuple[str, str]]]]) -> None:
        text = "[supervisord]\n"
        for header, command, settings in some:
            text += f"[{header}]\n" + "command=sleep 1\n" * command
            text += "".join(f"{key}={value}\n" for key, value in settings)
        (tmp_path / "supervisord.conf").write_text(text, "utf-8")
        conversion = convert(str(tmp_path / "supervisord.conf"), str(tmp_path / "out"))
        loaded(write_out(conversion, tmp_path / "out"), {"HOME": "/root"})

    fuzz(check, some=st.lists(sections, min_size=1, max_size=6))
