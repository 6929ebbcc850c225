"""Every key is found on its line, whatever the strings and comments around it look like."""

from __future__ import annotations

import json

import tomli
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.config.lines import KeyPath, line_numbers


def test_tables_and_keys_have_the_line_they_stand_on() -> None:
    lines = line_numbers('# first\n[daemon]\n\numask = "022"\n[program.web]\ncommand = "x"\n')
    assert lines == {
        ("daemon",): 2,
        ("daemon", "umask"): 4,
        ("program",): 5,
        ("program", "web"): 5,
        ("program", "web", "command"): 6,
    }


def test_text_inside_strings_and_comments_is_not_structure() -> None:
    text = '''\
a = """
[not.a.table]
b = 1 \\""" # "quoted" """"
# c = 1
d = \'\'\'
[e] '' = "
\'\'\'\'
f = 'it # is "x"'  # g = [
h = "\\" [x] # "
'''
    assert line_numbers(text) == {("a",): 1, ("d",): 5, ("f",): 8, ("h",): 9}
    assert list(tomli.loads(text)) == ["a", "d", "f", "h"]


def test_dotted_and_quoted_keys() -> None:
    text = 'a."b.c" . d = 1\n["x:y".\'z\']\n"\\u0041 \\"" = 1.5\n1.2 = 1979-05-27 07:32:00\n'
    assert line_numbers(text) == {
        ("a",): 1,
        ("a", "b.c"): 1,
        ("a", "b.c", "d"): 1,
        ("x:y",): 2,
        ("x:y", "z"): 2,
        ("x:y", "z", 'A "'): 3,
        ("x:y", "z", "1"): 4,
        ("x:y", "z", "1", "2"): 4,
    }


def test_arrays_of_tables_are_counted() -> None:
    text = '[[access]]\nrole = "view"\n[[access]]\n\nrole = "admin"\n[access.more]\nx = 1\n'
    lines = line_numbers(text)
    assert lines[("access", 0)] == 1
    assert lines[("access", 0, "role")] == 2
    assert lines[("access", 1)] == 3
    assert lines[("access", 1, "role")] == 5
    assert lines[("access", 1, "more", "x")] == 7


def test_inline_tables_and_arrays_over_several_lines() -> None:
    text = 'a = [ # one\n  "x",\n  { b = 1,\n    c = [2, 3] },\n]\nd = { e = { f = 1 } }\r\ng = 1'
    assert line_numbers(text) == {
        ("a",): 1,
        ("a", 0): 2,
        ("a", 1): 3,
        ("a", 1, "b"): 3,
        ("a", 1, "c"): 4,
        ("a", 1, "c", 0): 4,
        ("a", 1, "c", 1): 4,
        ("d",): 6,
        ("d", "e"): 6,
        ("d", "e", "f"): 6,
        ("g",): 7,
    }


def test_an_explicit_table_beats_an_implied_one() -> None:
    lines = line_numbers("[program.web.environment]\nA = 1\n[program.web]\nuser = 1\n")
    assert lines[("program", "web")] == 3
    assert lines[("program", "web", "environment")] == 1


def test_no_text_has_no_lines() -> None:
    assert line_numbers("") == {}
    assert line_numbers("\n# nothing") == {}


# Pieces that would be structure outside of a string.
_NASTY = st.lists(
    st.sampled_from(["[a]", "#", "=", "x", " ", ",", "]", "}", "{", "\\", '"', "'", ".", "é"]),
    max_size=6,
).map("".join)
_KEYS = st.one_of(st.sampled_from(["a", "b-1", "c_2", "3"]), _NASTY)


class _Writer:
    """Writes TOML and notes where everything went."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.expected: dict[KeyPath, int] = {}

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def key(self, key: str) -> None:
        bare = key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key)
        if bare and self.draw(st.booleans()):
            self.text += key
        elif "'" not in key and self.draw(st.booleans()):
            self.text += f"'{key}'"
        else:
            self.text += json.dumps(key, ensure_ascii=self.draw(st.booleans()))

    def gap(self) -> None:
        self.text += self.draw(st.sampled_from(["", " ", "\n", ' # "x\n', "\n\n\t"]))

    def assignment(self, path: KeyPath, key: str, depth: int) -> None:
        path = (*path, key)
        self.expected[path] = self.line
        self.key(key)
        self.text += self.draw(st.sampled_from(["=", " = "]))
        self.value(path, depth)

    def value(self, path: KeyPath, depth: int) -> None:
        kinds = ["number", "string", "literal", "long", "long literal"]
        kind = self.draw(st.sampled_from([*kinds, "array", "table"] if depth else kinds))
        text = self.draw(_NASTY)
        if kind == "number":
            self.text += self.draw(st.sampled_from(["1", "1.5", "-3e+2", "true", "1979-05-27"]))
        elif kind == "string":
            self.text += json.dumps(text)
        elif kind == "literal":
            self.text += "'" + text.replace("'", "") + "'"
        elif kind == "long":
            lines = json.dumps(text)[1:-1] + "\n[x] # ''' \"\" "
            self.text += f'"""{lines}"""'
        elif kind == "long literal":
            self.text += "'''" + text.replace("'", "") + '\n"""\'\' y = 1' + "'''"
        elif kind == "array":
            self.text += "["
            for index in range(self.draw(st.integers(0, 3))):
                self.gap()
                self.expected[(*path, index)] = self.line
                self.value((*path, index), depth - 1)
                self.gap()
                self.text += ","
            self.gap()
            self.text += "]"
        else:
            self.text += "{"
            for key in self.draw(st.lists(_KEYS, unique=True, max_size=3)):
                self.gap()
                self.assignment(path, key, depth - 1)
                self.gap()
                self.text += ","
            self.gap()
            self.text += "}"

    def table(self, path: KeyPath, header: str) -> None:
        self.expected[path] = self.line
        self.text += header.replace("KEY", "")
        self.text += self.draw(st.sampled_from(["\n", " # [y]\n", "\r\n"]))
        for key in self.draw(st.lists(_KEYS, unique=True, max_size=4)):
            self.assignment(path, key, depth=2)
            self.text += self.draw(st.sampled_from(["\n", " # z = '\n", "\r\n\n"]))


@st.composite
def _documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    writer = _Writer(draw)
    for key in draw(st.lists(_KEYS, unique=True, max_size=4)):
        if draw(st.booleans()):
            for index in range(draw(st.integers(1, 2))):
                writer.table((f"list {key}", index), f"[[{json.dumps(f'list {key}')}]]")
        else:
            writer.table(("t", key), f"[t.{json.dumps(key)}]")
    return writer.text, writer.expected


def _paths(value: object, path: KeyPath = ()) -> list[KeyPath]:
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [path, *(found for key, child in children for found in _paths(child, (*path, key)))]


@given(_documents())
def test_any_toml_is_mapped_as_it_was_written(document: tuple[str, dict[KeyPath, int]]) -> None:
    text, expected = document
    lines = line_numbers(text)
    assert {path: lines.get(path) for path in expected} == expected
    assert set(_paths(tomli.loads(text))) - {()} == set(lines)
