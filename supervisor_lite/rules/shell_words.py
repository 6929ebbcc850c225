"""Words of a command that only a shell would understand, or that are separated in the wrong place.

A word is judged by how it was written: what stands in quotes is meant as it is. Programs with a
language of their own (find, awk, ssh) are given such words on purpose, and so is a shell after -c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from supervisor_lite.model.advice import Advice, AdviceKind

_HIDDEN: Final = "\0"
"""Stands for a character that a shell would take as it is."""


class Word(NamedTuple):
    """One argument, and what of it a shell would look at."""

    written: str
    bare: str
    """With `_HIDDEN` for what is quoted."""
    soft: str
    """The same, without what double quotes hold: a shell replaces variables there."""


_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "busybox"})
_SCRIPT_OPTION: Final = re.compile(r"-[a-zA-Z]*c[a-zA-Z]*")
_CODE: Final = re.compile(
    r"(?:python[\d.]*|pypy3?|su|runuser|script|psql|sqlite3) (?:-c|--command)"
    r"|(?:perl|ruby|node|nodejs|mysql|mariadb|mongo|lua) (?:-[eE]|--eval|--execute)"
    r"|php (?:-r|--run)"
)
"""A program and its option for code in a language of its own."""

_TAKE_OPERATORS: Final = frozenset({
    "find", "expr", "test", "[", "ssh", "autossh", "mosh", "bc", "dc", "jq", "watch", "tmux",
    "parallel",
})  # fmt: skip
"""Programs that understand operators themselves, or hand them to a shell."""

_TAKE_PATTERNS: Final = _TAKE_OPERATORS | {
    "awk", "gawk", "mawk", "sed", "perl", "ruby", "java", "rsync", "tar", "zip", "grep", "egrep",
    "rg", "git", "scp", "envsubst", "watchmedo", "watchexec", "nodemon", "inotifywait", "mongo",
    "mongosh", "psql", "mysql", "php", "node", "npm", "npx", "yarn", "pnpm",
}  # fmt: skip
"""Programs that understand patterns or names of variables themselves."""

_OPERATORS: Final = frozenset({"&&", "||", "|", "|&", ";", ";;", "<<", "<<<"})
_REDIRECTION: Final = re.compile(
    r"(?:\d|&)?>{1,2}(?:\||&[\d-]?)?|(?:\d|&)?>{1,2}[\w./~$%{\0&\-][^>]*|\d?<|\d?<[\w./~$%\0][^>]*"
)
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::?[-=?+][^}]*)?\}|([A-Za-z_]\w*))")
_LISTED_VARIABLE: Final = re.compile(
    r"[\w\-./:=,@+]*\$(?:\{([A-Z_][A-Z0-9_]*)\}|([A-Z_][A-Z0-9_]*))[\w\-./:=,@+]*"
)
"""In a list a word with more than that is code, `{print $NF}`."""
_OPTION_WITH_VALUE: Final = re.compile(r"--?[A-Za-z][\w\-]*[ \t]+[^\s=].*", re.DOTALL)
_PATTERN: Final = re.compile(r"(?![\-+])(?=.*[*?\[])(?:[^:=]*/[^:=]*|[\w.\-]*\*\.\w+)")
_PATTERN_OPTIONS: Final = re.compile(r"--\w[\w\-]*|-i?(?:name|path|wholename|regex)|-cp|-g")
"""Options whose value may be a pattern that the program itself understands."""


def listed(text: str) -> Word:
    """Return an item of a list as a word: one with blanks is as it should be."""
    seen = text if not re.search(r"\s", text) else _HIDDEN * len(text)
    return Word(text, seen, seen)


def hidden(text: str) -> str:
    """Return so many characters as a text has, none of which a shell looks at."""
    return _HIDDEN * len(text)


def shell_words(words: Sequence[Word], *, of_list: bool) -> list[Advice]:
    """Return what is wrong with the arguments of a command, one advice a kind."""
    if not any(_is_suspect(word) for word in words):
        return []
    found: dict[tuple[AdviceKind, str], list[str]] = {}
    for kind, name, word in _found(words, of_list):
        found.setdefault((kind, name), []).append(word)
    return [
        Advice(kind, tuple(dict.fromkeys(about)), name) for (kind, name), about in found.items()
    ]


def _is_suspect(word: Word) -> bool:
    """Tell quickly whether a word can be worth a look."""
    return not word.written.isalnum() and bool(re.search(r"[&|;<>$`~*?\[\s]|^-\w*c", word.written))


def _found(words: Sequence[Word], of_list: bool) -> Iterator[tuple[AdviceKind, str, str]]:
    """Yield kind, name and word of everything that is wrong."""
    program = base_name(words[0].written)
    last = len(words) - 1
    script = _script(words)
    if script is not None and script < last:
        yield from _after_script(words, script)
    for index, word in enumerate(words[: len(words) if script is None else script]):
        before = words[index - 1].written
        if index == 0 or _CODE.fullmatch(f"{program} {before}"):
            continue
        if program not in _TAKE_OPERATORS:
            operator = _operator(word.bare, is_last=index == last)
            if operator is not None:
                yield operator, "", word.written
                continue
        yield from _expanded(word, program, before, of_list)
        if _OPTION_WITH_VALUE.fullmatch(word.written) and program not in _TAKE_OPERATORS:
            yield AdviceKind.OPTION_WITH_VALUE, "", word.written


def _script(words: Sequence[Word]) -> int | None:
    """Return where the script of a shell stands that is given as an argument."""
    shell = next((i for i, w in enumerate(words) if base_name(w.written) in _SHELLS), None)
    if shell is None:
        return None
    for index in range(shell + 1, len(words)):
        text = words[index].written
        if _SCRIPT_OPTION.fullmatch(text):
            return index + 1
        if not text.startswith(("-", "+")) and text not in _SHELLS:
            return None
    return None


def _after_script(words: Sequence[Word], script: int) -> Iterator[tuple[AdviceKind, str, str]]:
    """Yield the script that ends with its first word, where more was meant."""
    rest = words[script + 1 :]
    operators = any(_operator(w.bare, is_last=w is rest[-1]) is not None for w in rest)
    one_word = not re.search(r"[\s$@\0]", words[script].bare)
    if operators or one_word:
        yield AdviceKind.SCRIPT_IN_WORDS, "", words[script].written


def _operator(bare: str, *, is_last: bool) -> AdviceKind | None:
    """Return what a word does in a shell that is no argument; None if it is one."""
    if bare == "&" or (is_last and len(bare) > 1 and bare.endswith("&") and "?" not in bare):
        return AdviceKind.BACKGROUND if is_last else AdviceKind.OPERATOR
    if bare in _OPERATORS or ("&&" in bare and "://" not in bare):
        return AdviceKind.OPERATOR
    if len(bare) > 1 and bare.endswith(";") and not is_last:
        return AdviceKind.OPERATOR
    return AdviceKind.REDIRECTION if _REDIRECTION.fullmatch(bare) else None


def _expanded(
    word: Word, program: str, before: str, of_list: bool
) -> Iterator[tuple[AdviceKind, str, str]]:
    """Yield what a shell would have replaced in a word."""
    if program in _TAKE_PATTERNS:
        return
    if "`" in word.soft or "$(" in word.soft:
        if not of_list or re.fullmatch(r"`.*`|[\w\-./:=]*\$\(.*\)[\w\-./:]*", word.soft):
            yield AdviceKind.SUBSTITUTION, "", word.written
        return
    seen = _LISTED_VARIABLE.fullmatch(word.soft) if of_list else _VARIABLE.search(word.soft)
    if seen is not None:
        yield AdviceKind.VARIABLE, seen[1] or seen[2], word.written
    if re.match(r"~[\w.\-]*/", word.bare):
        yield AdviceKind.HOME, "", word.written
    elif _PATTERN.fullmatch(word.bare) and not _PATTERN_OPTIONS.fullmatch(before):
        yield AdviceKind.PATTERN, "", word.written


def base_name(word: str) -> str:
    """Return the name of a program without its directory."""
    return word.rpartition("/")[2]
