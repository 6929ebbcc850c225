"""What the C half of json says alone is what json says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.protocol import quick_json

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)


def test_it_is_quick_here() -> None:
    """Where it is not, json does its work, and slctl is slower."""
    assert quick_json.QUICK
    code = "import sys; from supervisor_lite.protocol import quick_json as q\n"
    code += "q.loads(q.dumps({'a': 1}).encode()); print('re' in sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, check=True)
    assert done.stdout == b"False\n"


@given(VALUES)
def test_it_writes_what_json_writes(value: object) -> None:
    assert quick_json.dumps(value) == json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    assert quick_json.dumps(value, ascii_only=True, compact=False) == json.dumps(value)


@given(VALUES)
def test_it_reads_what_json_writes(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value) + " "):
        data = text.encode("utf-8", "surrogatepass")
        assert quick_json.loads(data) == json.loads(data) == value


@given(st.one_of(st.binary(), st.text(alphabet='{}[]",:0123.eE-+ntfaul \\\n').map(str.encode)))
def test_it_refuses_what_json_refuses(data: bytes) -> None:
    try:
        expected = json.loads(data)
    except ValueError:
        with pytest.raises(ValueError):
            quick_json.loads(data)
        return
    assert repr(quick_json.loads(data)) == repr(expected)


def test_what_json_cannot_say_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="is not JSON serializable"):
        quick_json.dumps({"a": {1}})


def test_json_does_it_where_the_c_half_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_json, "QUICK", False)
    assert quick_json.dumps({"a": "ü"}) == '{"a":"ü"}'
    assert quick_json.dumps({"a": "ü"}, ascii_only=True, compact=False) == '{"a": "\\u00fc"}'
    assert quick_json.loads(b' {"a": 1} ') == {"a": 1}
