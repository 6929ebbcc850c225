"""What a changed definition needs, and what clients see of one: read from the table of keys."""

from __future__ import annotations

import json

import pytest

from supervisor_lite.config.definition import needs_new_child, published
from supervisor_lite.config.schema import TABLES
from supervisor_lite.config.schema.key import Key, field_default
from supervisor_lite.config.schema.program import PROGRAM
from supervisor_lite.model.output import OnFull, Output
from supervisor_lite.model.process_attributes import ProcessAttributes
from supervisor_lite.model.program import Leftovers, Program
from supervisor_lite.model.restart import AutoRestart, Backoff, RestartLimit
from supervisor_lite.model.secrets import Credential, EnvFile
from supervisor_lite.model.sockets import ListenSocket
from tests.config.conftest import Folder

NO_KEY = {"group", "program", "listener", "internal"}
"""Fields of a program that follow from where its table stands."""

DERIVED = {"prefix", "strip_ansi", "answers"}
"""Fields of an Output that follow from settings of the daemon, or from being an event listener."""

WEB = Program(name="web", command=("x",), stdout=Output("/log"), stderr=Output("/err"))

KEYS = [pytest.param(key, id=key.name) for key in PROGRAM.keys]

OTHER_CHILD: dict[str, object] = {
    "name": "other", "command": ("y",), "group": "g", "program": "p", "directory": "/", "user": "u",
    "umask": 0o77, "environment": {"A": "1"}, "stdin": "pipe", "redirect_stderr": True,
    "serverurl": "u", "sockets": (ListenSocket("tcp://*:1"),),
    "placement": ProcessAttributes(nice=1),
    "env_file": (EnvFile("/e"),), "credentials": (Credential("n", "/c"),), "memory_max": 1,
    "memory_high": 1, "cpu_max": "1 2", "pids_max": 1, "listener": True, "internal": True,
    "stdout": Output("/other"), "stderr": Output(),
}  # fmt: skip

SAME_CHILD: dict[str, object] = {
    "priority": 1, "autostart": False, "autorestart": AutoRestart.NEVER, "exitcodes": (1,),
    "startsecs": 5.0, "startretries": 1, "stopsignal": "INT", "stopwaitsecs": 1.0,
    "stopasgroup": True, "killasgroup": True, "leftovers": Leftovers.KEEP,
    "backoff": Backoff(jitter=0.5), "restart_limit": RestartLimit(1, 1.0), "memory_restart": 1,
    "memory_check_interval": 1.0, "pidfile": "/p",
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_a_program_says_what_it_fills_and_who_reads_that(key: Key) -> None:
    if key.name in ("numprocs", "numprocs_start"):  # they say how many definitions there are
        assert (key.of, key.affects, key.program_field) == (None, None, "")
        return
    assert key.affects in ("child", "rules", "logs")
    assert key.program_field in Program._fields
    assert key.of is not None
    field_default(key.of, key.field or key.name)  # asserts that there is such a field
    assert bool(key.within) == (key.of is not Program)


def test_every_field_of_a_program_has_the_facts_of_its_keys() -> None:
    fields = {key.program_field for key in PROGRAM.keys} - {""}
    assert fields == set(Program._fields) - NO_KEY
    for part in (Output, ProcessAttributes, Backoff):
        found = {key.field or key.name for key in PROGRAM.keys if key.of is part}
        missing = set(part._fields) - found
        assert missing <= DERIVED | {"kind", "seconds"}  # of a Backoff, what the key backoff says
    # A fact of a whole field cannot be "logs": only an Output has parts that logs read.
    assert all(key.of is Output for key in PROGRAM.keys if key.affects == "logs")


@pytest.mark.parametrize("key", KEYS)
def test_what_depends_on_another_key_names_one(key: Key) -> None:
    assert key.only_with == "" or key.only_with in PROGRAM.by_name()
    assert not key.rpc_name or (key.published and key.supervisor_name)


def test_supervisors_names_are_unique_in_a_table() -> None:
    for table in TABLES.values():
        names = [key.supervisor_name for key in table.keys if key.supervisor_name]
        assert len(set(names)) == len(names)


def test_every_field_is_tried_below() -> None:
    assert OTHER_CHILD.keys() | SAME_CHILD.keys() == set(Program._fields)


@pytest.mark.parametrize("field", OTHER_CHILD)
def test_what_is_settled_at_the_start_needs_a_new_child(field: str) -> None:
    assert needs_new_child(WEB, WEB._replace(**{field: OTHER_CHILD[field]}))  # type: ignore[arg-type]


@pytest.mark.parametrize("field", SAME_CHILD)
def test_what_decisions_read_needs_none(field: str) -> None:
    changed = WEB._replace(**{field: SAME_CHILD[field]})  # type: ignore[arg-type]
    assert changed != WEB
    assert not needs_new_child(WEB, changed)


def test_of_an_output_the_path_is_settled_and_whether_anything_is_read() -> None:
    read = {
        "maxbytes": 1, "backups": 1, "syslog": True, "prefix": "p", "events_enabled": True,
        "capture_maxbytes": 1, "strip_ansi": True, "answers": True, "on_full": OnFull.WAIT,
    }  # fmt: skip
    assert {"path", *read} == set(Output._fields)
    for field, value in read.items():
        changed = WEB._replace(stdout=WEB.stdout._replace(**{field: value}))  # type: ignore[arg-type]
        assert not needs_new_child(WEB, changed)
    nothing = WEB._replace(stdout=Output())
    assert needs_new_child(nothing, WEB._replace(stdout=Output(syslog=True)))
    assert not needs_new_child(nothing, WEB._replace(stdout=Output(backups=1)))


def test_clients_see_published_keys_and_no_others(folder: Folder) -> None:
    text = (
        '[program.web]\ncommand = ["a", "b"]\nautorestart = true\nexitcodes = [1, 2]\n'
        'environment = { SECRET = "x" }\nstderr_logfile = "none"\nstdout_logfile_backups = 3\n'
    )
    found = published(folder.process(text))
    assert list(found) == [key.name for key in PROGRAM.keys if key.published]
    assert json.loads(json.dumps(found)) == found
    wanted = {
        "command": ["a", "b"], "autorestart": "always", "exitcodes": [1, 2], "stderr_logfile": None,
        "stdout_logfile_backups": 3, "leftovers": "kill", "startsecs": 1.0,
    }  # fmt: skip
    assert wanted.items() <= found.items()
    assert "environment" not in found
