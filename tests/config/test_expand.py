"""What %(x)s becomes, and what is said when it cannot become anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.config.expand import ExpansionError, Names, expand

NAMES = Names(
    {"program_name": "web", "process_num": 7, "here": "/etc"},
    {"PORT": "80"},
    {"PORT": "hidden", "HOME": "/root", "SECRET": "hunter2"},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("%(program_name)s", "web"),
        ("%(program_name)s_%(process_num)02d", "web_07"),
        ("%(process_num)s%(process_num)d", "77"),
        ("%(process_num)3d|%(process_num)x", "  7|7"),
        ("%(program_name)-5s|", "web  |"),
        ("100%%", "100%"),
        ("%%(here)s", "%(here)s"),
        ("%(ENV_PORT)s:%(ENV_HOME)s", "80:/root"),
    ],
)
def test_expansions(text: str, expected: str) -> None:
    assert expand(text, NAMES) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("50%", 'a percent sign is written "%%"'),
        ("%d", 'a percent sign is written "%%"'),
        ("%(here)", 'write %(here)s, or "%%"'),
        ("%(here)999999999s", "write %(here)s"),
        ("%(here)d", "%(here)d wants a number and here is text"),
        ("%(progam_name)s", "did you mean %(program_name)s? (known here: here, process_num"),
        (
            "%(ENV_HOEM)s",
            'no environment variable "HOEM" for %(ENV_HOEM)s, did you mean %(ENV_HOME)s',
        ),
        ("%()s", "unknown expansion %()s"),
    ],
)
def test_bad_expansions(text: str, complaint: str) -> None:
    with pytest.raises(ExpansionError) as caught:
        expand(text, NAMES)
    assert complaint in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_expanded_value_is_not_expanded_again() -> None:
    assert expand("%(ENV_A)s", Names({}, {"A": "%(ENV_A)s 5%"})) == "%(ENV_A)s 5%"


def test_names_that_are_added_go_before() -> None:
    names = NAMES.plus({"program_name": "worker"}, {"PORT": "90"})
    assert expand("%(program_name)s %(ENV_PORT)s %(ENV_HOME)s", names) == "worker 90 /root"
    assert expand("%(program_name)s %(ENV_PORT)s", NAMES) == "web 80"


@given(st.text())
def test_doubled_percent_signs_give_any_text_back(text: str) -> None:
    assert expand(text.replace("%", "%%"), NAMES) == text


@given(st.text(alphabet="%()sd here_ENV0123 "))
def test_any_text_expands_or_is_complained_about(text: str) -> None:
    """It agrees with Python's own formatting, whose syntax Supervisor's users know."""
    names: dict[str, str | int] = {"here": "/etc", "process_num": 7}
    try:
        expanded = expand(text, Names(names))
    except ExpansionError:
        return
    assert expanded == text % names
