"""Finds where code decides by reading a sentence: `python -m tests.prose [DIRECTORY]` lists it.

A sentence is for people: a better word must change nothing else. Two things are looked for, in
decisions alone: values whose name says that they are sentences (`cause`, `reason`, `why` …), and
texts of several words. A decision is a comparison, a look into a text (`startswith`, `split`,
`re.match` …) and a `case`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1] / "supervisor_lite"

SENTENCES = frozenset({
    "cause", "causes", "description", "error", "note", "reason", "reasons", "said", "told", "why",
})  # fmt: skip
"""Names of variables, attributes and keys that hold sentences."""

MEMBERS = SENTENCES | {"message", "notes", "reply", "text", "words"}
"""Names of attributes and keys that do, while variables of these names are messages of JSON-RPC,
or what is being parsed."""

LOOKS = frozenset({
    "count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "replace",
    "rfind", "rpartition", "rsplit", "split", "splitlines", "startswith",
})  # fmt: skip
"""Methods of a text that tell what is in it."""

PATTERNS = frozenset({"findall", "finditer", "fullmatch", "match", "search", "split", "sub"})
"""Methods of a pattern, and functions of `re`."""

_SEVERAL_WORDS = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")


class Place(NamedTuple):
    """Somewhere in the source where a sentence decides."""

    file: str
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.code}"


def found_in(directory: Path) -> list[Place]:
    """Return every such place in a directory of Python files."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(directory.rglob("*.py"))}
    constants = frozenset(name for tree in trees.values() for name in _constants(tree))
    return [
        Place(str(path.relative_to(directory)), node.lineno, ast.unparse(node))
        for path, tree in trees.items()
        for node in _decisions(tree, constants)
    ]


def _constants(tree: ast.Module) -> Iterator[str]:
    """Yield the names of constants that are sentences, or hold some."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_literal(value):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                if _is_literal(value):
                    yield name


def _is_literal(node: ast.expr) -> bool:
    """Is it a text of several words, or a collection with one?"""
    match node:
        case ast.Constant(value=str(text)):
            return _SEVERAL_WORDS.search(text) is not None
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return any(map(_is_literal, parts))
        case ast.Call(func=ast.Name(id="frozenset"), args=[inner]):
            return _is_literal(inner)
        case ast.JoinedStr(values=values):
            return any(map(_is_literal, values))
        case _:
            return False


def _is_named(node: ast.expr) -> bool:
    """Does a name say that this is a sentence?"""
    match node:
        case ast.Name(id=name):
            return name in SENTENCES
        case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name in MEMBERS
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(key)), *_]):
            return key in MEMBERS
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[inner]):
            return _is_named(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr="lower" | "strip" | "casefold")):
            return _is_named(inner)
        case ast.BoolOp(values=values):
            return any(map(_is_named, values))
        case ast.NamedExpr(value=inner):
            return _is_named(inner)
        case _:
            return False


def _decisions(tree: ast.Module, constants: frozenset[str]) -> Iterator[ast.expr]:
    def is_sentence(node: ast.expr) -> bool:
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in constants:
                return True
        return _is_literal(node) or _is_named(node)

    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others) if _by_value(ops):
                operands = [left, *others]
                if any(map(is_sentence, operands)) and not any(map(_is_no_text, operands)):
                    yield node
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=args):
                looked = name in LOOKS and any(map(is_sentence, (value, *args)))
                if looked or (name in PATTERNS and any(map(_is_named, args))):
                    yield node
            case ast.Match(subject=subject) if _is_named(subject):
                if any(isinstance(case.pattern, ast.MatchValue) for case in node.cases):
                    yield subject


def _by_value(ops: Iterable[ast.cmpop]) -> bool:
    return any(isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in ops)


def _is_no_text(node: ast.expr) -> bool:
    """Is it a number, or an empty text (is there anything said at all?)."""
    match node:
        case ast.Constant(value=value):
            return not isinstance(value, str) or not value
        case _:
            return False


if __name__ == "__main__":
    for place in found_in(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE):
        print(place)
