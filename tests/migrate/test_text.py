"""The text of Supervisor's file and of ours: quoting, percent signs, the INI grammar."""

from __future__ import annotations

import configparser
import string
from pathlib import Path

import pytest
import tomli
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from supervisor_lite.config.load import load
from supervisor_lite.migrate import toml_writer
from supervisor_lite.migrate.converter import convert
from supervisor_lite.migrate.environment import environment
from supervisor_lite.migrate.ini import read
from supervisor_lite.migrate.percent import PercentError, escaped, hide, show
from supervisor_lite.migrate.report import KeyNotes, Notes
from supervisor_lite.migrate.values import ConvertContext, Refused, expansions

quick = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

HERE = ConvertContext(
    "/old", "/old", "/new", frozenset(("here", "process_num")), KeyNotes(Notes(), "f", 1, "s")
)

# What INI keeps of a value: no line ends, nothing that is a comment or blank at the ends.
values = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")))
names = st.text(string.ascii_letters + string.digits + "_", min_size=1).filter(
    lambda name: not name[0].isdigit()
)


def quoted(value: str) -> str | None:
    """Write a value of a variable as Supervisor wants it; None if it has no way to."""
    quote = "'" if '"' in value else '"'
    if quote in value or value != value.strip("'\""):
        return None
    cut = any(value[i - 1].isspace() and value[i] in ";#" for i in range(1, len(value)))
    return None if cut else f"{quote}{escaped(value)}{quote}"


@quick
@given(st.dictionaries(names, values, max_size=5))
def test_environments_arrive_unchanged(tmp_path: Path, variables: dict[str, str]) -> None:
    """Whatever can be written in environment= is in the environment of the program."""
    written = {name: quoted(value) for name, value in variables.items()}
    given_ = {name: variables[name] for name, text in written.items() if text is not None}
    pairs = ",".join(f"{name}={text}" for name, text in written.items() if text is not None)
    (tmp_path / "s.conf").write_text(f"[program:x]\ncommand=y\nenvironment={pairs}\n", "utf-8")
    text = convert(str(tmp_path / "s.conf")).files["supervisor.toml"]
    (tmp_path / "supervisor.toml").write_text(text, "utf-8")
    (process,) = load(str(tmp_path / "supervisor.toml"), {}).plan.processes()
    assert dict(process.environment) == given_


@quick
@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_is_read_back_by_a_toml_parser(value: str, name: str) -> None:
    assume("\r" not in value)  # a line end of its own, in TOML too
    table = toml_writer.TomlTable(
        ("t", name),
        {name: toml_writer.Line(value), "list": toml_writer.Line([value, 1, True])},
        ["# above", ""],
    )
    table.lines["sub"] = toml_writer.Line({name: value})
    read_back = tomli.loads(toml_writer.render([table], [toml_writer.comment(value)]))
    wanted = {"list": [value, 1, True], "sub": {name: value}}
    assert read_back["t"][name] == {name: value, **wanted}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", '"plain"'),
        ('with "quotes"', "'with \"quotes\"'"),
        ("C:\\new", "'C:\\new'"),
        ('it\'s "both"', '"it\'s \\"both\\""'),
        ("two\nlines", "'''\ntwo\nlines'''"),
        ("'''\n", "\"'''\\n\""),
        ("bell\x07", '"bell\\u0007"'),
        ("grüß", '"grüß"'),
    ],
)
def test_quotes_are_the_ones_a_person_would_take(value: str, written: str) -> None:
    assert toml_writer.text(value) == written
    assert tomli.loads(f"x = {written}") == {"x": value}


def test_long_lists_and_tables_are_broken() -> None:
    names = [f"program-{number}" for number in range(20)]
    table = toml_writer.TomlTable(("g",), {"programs": toml_writer.Line(names, ["# all"])})
    text = toml_writer.render([table])
    assert text.startswith('[g]\n# all\nprograms = [\n  "program-0",\n')
    assert max(map(len, text.splitlines())) < toml_writer.WIDTH
    assert tomli.loads(text) == {"g": {"programs": names}}


# percent signs


@quick
@given(st.text())
def test_hidden_text_is_shown_again(text: str) -> None:
    assume(not any(ord(char) >= 0xF0000 for char in text))
    assert show(hide(escaped(text), []), []) == escaped(text)


@quick
@given(
    st.lists(
        st.sampled_from(["%%", "q", "(", ")", "process_num)d", "%(process_num)02d", "%(ENV_A)s"])
    )
)
def test_two_expansions_become_one(parts: list[str]) -> None:
    """Our one expansion of what was converted gives what Supervisor's two give."""
    text = "".join(parts)
    names = {"process_num": 7, "ENV_A": "va"}
    try:
        twice = text % names % names
    except (ValueError, TypeError, KeyError):
        assume(False)
    try:
        once = expansions(text, HERE, twice=True)
    except PercentError:
        assume(False)
    assert once % names == twice


@pytest.mark.parametrize(
    ("value", "converted"),
    [
        ("%(here)s/x", "/old/x"),
        ("%(here)10s", "      /old"),
        ("100%%", "100%%"),
        ("%(process_num)03d", "%(process_num)03d"),
        ("%(process_num)ld", "%(process_num)d"),
        ("%(ENV_X)s", "%(ENV_X)s"),
    ],
)
def test_an_expansion(value: str, converted: str) -> None:
    assert expansions(value, HERE) == converted


@pytest.mark.parametrize(
    "value", ["%", "100%", "%d", "%(x", "%(process_num)", "%(nope)s", "%(here)r"]
)
def test_no_expansion(value: str) -> None:
    with pytest.raises(PercentError):
        expansions(value, HERE)


# environment=


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ('A="1",B=2,', {"A": "1", "B": "2"}),
        ("A='x',\nB=\"\"", {"A": "x", "B": ""}),
        ("A=foo#bar", {"A": "foo"}),
        ("A=a b", {"A": "a"}),
        ("A=1,A=2", {"A": "2"}),
        ("A=/usr/bin:/bin", {"A": "/usr/bin:/bin"}),
        ('A="$HOME \\n"', {"A": "$HOME \\n"}),
        ("A=50%%", {"A": "50"}),
        ('A="50%%"', {"A": "50%%"}),
        ("A=%(ENV_B)s-%(process_num)d", {"A": "%(ENV_B)s-%(process_num)d"}),
        ('A="it\'s"', {"A": "it's"}),
    ],
)
def test_environment_is_split_as_supervisor_does(text: str, variables: dict[str, str]) -> None:
    assert environment(text, HERE) == variables


@pytest.mark.parametrize("text", ["A", "A=", "=1", "A=x@y,B=1", "A=a=b,B=1", 'A="x', "A=a b,B=1"])
def test_what_supervisor_refuses_in_an_environment(text: str) -> None:
    with pytest.raises(Refused):
        environment(text, HERE)


@pytest.mark.parametrize(
    ("text", "words"),
    [("A=foo#bar", 'follows "#"'), ("A=a b", "takes only"), ("A=it#'s", 'follows "#"')],
)
def test_what_supervisor_cuts_in_silence_is_told(text: str, words: str) -> None:
    notes = Notes()
    environment(
        text,
        ConvertContext("/", "/", "/", frozenset(), KeyNotes(notes, "f", 1, "s", "environment")),
    )
    (note,) = notes.listed([])
    assert words in note.text
    assert not note.lossy


# the grammar

lines = st.lists(
    st.one_of(
        st.sampled_from(
            ["[a]", "[b] ; c", "[program:x]", "[DEFAULT]", "", "; comment", "# other", "  ; in",
             " continued", "  more # cut", "k=v", "k = w ; cut", "K: x#y", "l=", "  k=z",
             "m=a;b ;c #d"]
        ),
        st.text(string.printable, max_size=12),
    ),
    max_size=14,
)  # fmt: skip


@quick
@given(lines)
def test_values_are_those_of_the_parser_supervisor_uses(tmp_path: Path, some: list[str]) -> None:
    """And each is told to stand on a line that begins with its key."""
    text = "\n".join(some)
    path = tmp_path / "s.conf"
    path.write_bytes(text.encode())
    plain = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    try:
        plain.read(path, "utf-8")
        ini = read(str(path), Notes())
    except Exception:  # noqa: BLE001  (of either: both refuse, or the test fails below)
        with pytest.raises(Exception, match=r".*"):
            plain.read(path, "utf-8")
        with pytest.raises(Exception, match=r".*"):
            read(str(path), Notes())
        return
    assert {name: dict(plain.items(name)) for name in plain.sections()} == {
        name: {key: setting.value for key, setting in section.settings.items()}
        for name, section in ini.sections.items()
    }
    with open(path, encoding="utf-8") as stream:
        written = list(stream)
    for section in ini.sections.values():
        assert written[section.line - 1].strip().startswith(f"[{section.name}]")
        for key, setting in section.settings.items():
            assert written[setting.line - 1].strip().lower().startswith(key)


def test_every_comment_is_kept_once(tmp_path: Path) -> None:
    text = (
        "; c\n\n; c\n[supervisord] ; c\n; c\nloglevel=info ; c\n\n; c\n[program:x]\n"
        "command=a ; c\n   b ; c\n; c\n\n; c\nstartsecs=1\n; c\n"
    )
    parts = text.split("; c\n")
    text = "".join(f"{part}; c{number}\n" for number, part in enumerate(parts[:-1]))
    (tmp_path / "s.conf").write_text(text)
    toml = convert(str(tmp_path / "s.conf"), str(tmp_path)).files["supervisor.toml"]
    for number in range(len(parts) - 1):
        assert toml.count(f"# c{number}\n") == 1, toml
