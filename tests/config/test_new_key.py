"""What adding a key to [program] costs: its definition, its effect and its tests.

A key is really added, to a copy of the package: a field of `Program` with its type and default, and
a row of the table of keys. Everything that knows keys must then know it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[2] / "supervisor_lite"

FIELD = '    nickname: str = "Bo"\n    """What people call it."""\n'
ROW = (
    '        Key("nickname", text.TEXT, "What people call it.", Program, affects="{affects}", '
    'supervisor_name="nickname", published=True, rpc_name="nickname"),\n'
)

LOOK = """
import json, sys
from supervisor_lite.config.definition import needs_new_child, published
from supervisor_lite.config.load import load
from supervisor_lite.config.schema import TABLES
from supervisor_lite.config.schema.json_schema import json_schema
from supervisor_lite.config.schema.reference import reference
from supervisor_lite.errors import ConfigError
from supervisor_lite.gateway.rpc.info import _config_info
from supervisor_lite.migrate.converter import convert
from supervisor_lite.model.program import Program
from supervisor_lite.rules.plan_diff import difference
from supervisor_lite.store import codec

def plan(line):
    with open("supervisor.toml", "w") as file:
        file.write(f'[program.web]\\ncommand = "x"\\nstdout_logfile = "none"\\n{line}\\n')
    return load("supervisor.toml", {}).plan

old, new = plan(""), plan('nickname = "Al"')
(before,), (after,) = old.processes(), new.processes()
try:
    plan("nickname = 5")
except ConfigError as error:
    complaint = str(error)
with open("supervisord.conf", "w") as file:
    file.write("[program:web]\\ncommand=x\\nnickname=Cy\\n")
text = codec.to_text(codec.encode(after))
properties = json_schema()["$defs"]["program"]["properties"]
json.dump(
    {
        "default": before.nickname,
        "loaded": after.nickname,
        "complaint": complaint,
        "reference": [
            '| `nickname` | a string that is not empty | `"Bo"` | What people call it. |'
        ],
        "schema": properties["nickname"],
        "listener": "nickname" in json_schema()["$defs"]["eventlistener"]["properties"],
        "restored": codec.decode(Program, json.loads(text)) == after,
        "changed": [program.nickname for program in difference(old, new).changed],
        "new child": needs_new_child(before, after),
        "clients": published(after)["nickname"],
        "XML-RPC": _config_info(published(after))["nickname"],
        "imported": convert("supervisord.conf").files["supervisor.toml"],
    },
    sys.stdout,
)
"""


def added(copy: Path, file: str, after: str, text: str) -> None:
    """Put text behind the one place where `after` stands."""
    path = copy / "supervisor_lite" / file
    before, found, rest = path.read_text().partition(after)
    assert found
    path.write_text(before + found + text + rest)


@pytest.mark.parametrize("affects", ["rules", "child"])
def test_a_key_is_added_by_a_field_and_a_row(tmp_path: Path, affects: str) -> None:
    shutil.copytree(
        PACKAGE, tmp_path / "supervisor_lite", ignore=shutil.ignore_patterns("__pycache__")
    )
    added(tmp_path, "model/program.py", "    autostart: bool = True\n", FIELD)
    added(tmp_path, "config/schema/program.py", "    (\n", ROW.format(affects=affects))
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False,
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert '\nnickname = "Cy"\n' in found.pop("imported")
    assert found == {
        "default": "Bo",
        "loaded": "Al",
        "complaint": "supervisor.toml:4: program.web.nickname: "
        "expected a string that is not empty, got the number 5",
        "reference": [
            '| `nickname` | a string that is not empty | `"Bo"` | What people call it. |'
        ],
        "schema": {
            "description": "What people call it.",
            "type": "string",
            "minLength": 1,
            "default": "Bo",
        },
        "listener": True,
        "restored": True,
        "changed": ["Al"],
        "new child": affects == "child",
        "clients": "Al",
        "XML-RPC": "Al",
    }
