"""The package as a house: small files and functions, one name for one class, nothing left over."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import ROOT

PACKAGE = ROOT / "supervisor_lite"

MAX_FILE = 300
"""Lines. A file that outgrows it is two things."""

MAX_FUNCTION = 40
"""Lines, without decorators and docstring."""

FILES = sorted(PACKAGE.rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def lines_of(function: Function) -> int:
    """Return how long a function is, from its `def`."""
    size = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        size -= (docstring.end_lineno or 0) - docstring.lineno + 1
    return size


def too_long(path: Path) -> Iterator[str]:
    """Yield what is too long in a file, and the file if it is."""
    size = len(path.read_text().splitlines())
    if size > MAX_FILE:
        yield f"{name_of(path)}: {size} lines"
    for node in ast.walk(parsed(path)):
        if isinstance(node, Function) and lines_of(node) > MAX_FUNCTION:
            yield f"{name_of(path)}:{node.lineno}: {node.name}: {lines_of(node)} lines"


def test_no_file_and_no_function_is_long() -> None:
    found = [long for path in FILES for long in too_long(path)]
    assert not found, "\n".join(found)


def test_every_module_says_what_it_is() -> None:
    silent = [name_of(path) for path in FILES if not ast.get_docstring(parsed(path))]
    assert not silent


def test_one_name_is_one_class() -> None:
    """Whoever searches for a class finds it, and not another one of that name."""
    places = defaultdict(list)
    for path in FILES:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(name_of(path))
    twice = [f"{name}: {', '.join(where)}" for name, where in places.items() if len(where) > 1]
    assert not twice, "\n".join(twice)


def test_nothing_is_left_to_do() -> None:
    """What is to be done is an issue, not a comment."""
    mark = re.compile(r"\b(TODO|FIXME|XXX)\b")
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if mark.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("body", "lines"), [("    pass\n" * 40, 41), ('    """Doc."""\n', 1)])
def test_a_function_is_measured_without_its_docstring(body: str, lines: int) -> None:
    (function,) = ast.parse("def f():\n" + body).body
    assert isinstance(function, Function)
    assert lines_of(function) == lines
