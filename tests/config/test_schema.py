"""The schema, the reference and the loader say the same, because they have one source."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli

from supervisor_lite.config.schema import TABLES, __main__
from supervisor_lite.config.schema.json_schema import json_schema
from supervisor_lite.config.schema.key import Key, TableSchema, field_default
from supervisor_lite.config.schema.reference import reference, toml
from supervisor_lite.model.plan import Group
from supervisor_lite.model.process_attributes import ProcessAttributes
from supervisor_lite.model.program import Program
from supervisor_lite.model.settings import DaemonSettings
from tests.config.conftest import Folder

ROOT = Path(__file__).parents[2]
KEYS = [
    pytest.param(table, key, id=f"{table.name}.{key.name}")
    for table in TABLES.values()
    for key in table.keys
]


def allows(rule: object, value: object, root: dict[str, object]) -> bool:
    """Tell whether a value is valid by the part of JSON Schema that we use."""
    assert isinstance(rule, dict)
    used = {
        "type", "enum", "anyOf", "items", "minItems", "properties", "required", "minimum",
        "maximum", "minLength", "maxLength", "pattern", "propertyNames", "additionalProperties",
        "$ref", "description", "default", "deprecated", "title", "$schema", "$defs",
    }  # fmt: skip
    assert set(rule) <= used
    types = {
        "object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
        "number": (int, float),
    }  # fmt: skip
    if "$ref" in rule:
        place: object = root
        for part in str(rule["$ref"]).removeprefix("#/").split("/"):
            assert isinstance(place, dict)
            place = place[part]
        if not allows(place, value, root):
            return False
    if "type" in rule:
        wanted = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        fits = [isinstance(value, types[name]) for name in wanted]  # type: ignore[arg-type]
        if not any(fits) or (isinstance(value, bool) and "boolean" not in wanted):
            return False
    if "enum" in rule and not any(
        v is value or (v == value and v is not True) for v in rule["enum"]
    ):
        return False
    if "anyOf" in rule and not any(allows(r, value, root) for r in rule["anyOf"]):
        return False
    if isinstance(value, str):
        return (
            len(value) >= rule.get("minLength", 0)
            and len(value) <= rule.get("maxLength", 10**9)
            and re.search(rule.get("pattern", ""), value) is not None
        )
    if isinstance(value, int | float):
        return bool(rule.get("minimum", value) <= value <= rule.get("maximum", value))
    if isinstance(value, list):
        items = rule.get("items", {})
        return len(value) >= rule.get("minItems", 0) and all(allows(items, v, root) for v in value)
    if isinstance(value, dict):
        known = rule.get("properties", {})
        if not set(rule.get("required", ())) <= set(value):
            return False
        if not all(allows(rule.get("propertyNames", {}), name, root) for name in value):
            return False
        other = rule.get("additionalProperties", {})
        rules = {name: known.get(name, other) for name in value}
        return all(r is not False and allows(r, value[n], root) for n, r in rules.items())
    return True


def valid(text: str) -> bool:
    document = json_schema()
    return allows(document, tomli.loads(text), document)


def test_the_reference_is_up_to_date() -> None:
    """If this fails: python -m supervisor_lite.config.schema --reference > docs/configuration.md"""
    assert (ROOT / "docs/configuration.md").read_text() == reference(TABLES)


def test_the_examples_of_the_reference_load(folder: Folder) -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert valid(example)
    # Not every machine has this user.
    plan = folder.load(example.replace('user = "www-data"\n', "") + '[daemon]\nlog_dir="."').plan
    assert [process.fullname for process in plan.processes()] == [
        "site:web_0",
        "site:web_1",
        "site:web_2",
        "site:web_3",
        "site:worker",
    ]


@pytest.mark.parametrize("argv", [[], ["--reference"]])
def test_the_module_prints_them(argv: list[str]) -> None:
    command = [sys.executable, "-m", "supervisor_lite.config.schema", *argv]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == __main__.text(argv)
    assert done.stdout.startswith("# The configuration" if argv else "{")
    assert done.stderr == ""


def test_the_schema_is_plain_json() -> None:
    document = json_schema()
    assert json.loads(json.dumps(document)) == document
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_of_the_loader_is_in_the_schema_and_no_other() -> None:
    definitions = json_schema()["$defs"]
    assert isinstance(definitions, dict)
    assert set(definitions) == set(TABLES)
    for name, table in TABLES.items():
        assert set(definitions[name]["properties"]) == set(table.by_name())
        assert definitions[name]["additionalProperties"] is False


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_defaults_are_valid_and_mean_what_the_dataclass_says(table: TableSchema, key: Key) -> None:
    shown = key.shown_default()
    if shown is None or shown == {}:
        return
    document = json_schema()
    assert allows(key.value_type.schema, shown, document)
    if key.of is not None and key.default is None:
        parsed = key.value_type.parse_scalar(tuple(shown) if isinstance(shown, list) else shown)
        assert parsed == field_default(key.of, key.field or key.name)


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_every_key_says_what_it_is(table: TableSchema, key: Key) -> None:
    assert key.doc
    assert key.doc.endswith((".", "…"))
    assert key.name in reference(TABLES)
    assert sum(name == key.name for name in table.by_name()) == 1


def test_every_field_of_a_program_can_be_set() -> None:
    made_of_others = {"name", "group", "program", "stdout", "stderr", "listener", "placement"}
    made_of_others |= {"internal"}
    parts = set(ProcessAttributes._fields)
    names = (set(Program._fields) | parts) - made_of_others
    assert names <= set(TABLES["program"].by_name())
    of_group = set(Group._fields) - {"name", "processes"}
    of_pool = {"events", "buffer_size"}
    assert of_group - of_pool <= set(TABLES["group"].by_name())
    assert of_group <= set(TABLES["eventlistener"].by_name())
    settings = set(DaemonSettings._fields) - {"access", "gateway_group"}
    assert settings <= set(TABLES["daemon"].by_name())


def test_a_default_that_is_set_changes_nothing(folder: Folder) -> None:
    """Writing every default of [program] down gives the same process as writing none."""
    lines = [
        f"{key.name} = {toml(key.shown_default())}"
        for key in TABLES["program"].keys
        if key.shown_default() is not None and key.shown_default() != {}
    ]
    text = '[program.web]\ncommand = "x"\n' + "\n".join(lines) + "\n"
    assert len(lines) > 20
    assert valid(text)
    assert folder.process(text) == folder.process('[program.web]\ncommand = "x"\n')


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[daemon]\nloglevel = "debug"\nnodaemon = true\n',
        '[daemon]\nsocket_mode = 0o660\nlogfile_maxbytes = "1.5MB"\n',
        '[program.a]\ncommand = ["x", 1]\nnumprocs = "%(ENV_N)s"\nexitcodes = 0\n',
        '[program.a]\ncommand = "x"\nbackoff = 5\nrestart_limit = "5/10m"\numask = "022"\n',
        '[program.a]\ncommand = "x"\nbackoff = "1m 5s"\nrestart_limit_action = "10m"\n',
        '[program.a]\ncommand = "x"\nenvironment = { A = 1, B = "x", C = true }\n',
        '[[access]]\nrole = "view"\nusers = ["root", 0]\n',
        '[group.a]\nprograms = ["x"]\n',
    ],
)
def test_the_schema_accepts_what_the_loader_accepts(text: str) -> None:
    assert valid(text)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        "[daemons]",
        "[daemon]\nlog_levle = 'info'",
        "[daemon]\nlog_level = 'loud'",
        "[program.a]",
        "[program.'a b']\ncommand = 'x'",
        "[program.a]\ncommand = []",
        "[program.a]\ncommand = 'x'\nautostart = 'yes'",
        "[program.a]\ncommand = 'x'\nautostart = 1",
        "[program.a]\ncommand = 'x'\nautorestart = 1",
        "[program.a]\ncommand = 'x'\nstartretries = -1",
        "[program.a]\ncommand = 'x'\nexitcodes = [256]",
        "[program.a]\ncommand = 'x'\nstopwaitsecs = 'soon'",
        "[program.a]\ncommand = 'x'\nenvironment = { A = 1.5 }",
        "[access]\nrole = 'view'",
        "[group.a]\nprograms = 'x'",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text: str, folder: Folder) -> None:
    assert not valid(text)
    assert folder.complaints(text)
