"""Names that Supervisor takes and that cannot be addressed here get others, and that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor_lite.migrate.converter import convert
from supervisor_lite.migrate.names import usable_name
from tests.config.conftest import Folder
from tests.migrate.converting import loaded, write_out


@pytest.mark.parametrize(
    ("written", "usable"),
    [("all", "all_"), (".", "_"), ("..", "__"), ("-x", "_x"), ("we*b", "we_b"), ("a[0]?", "a_0__"),
     ("web", "web"), ("v1.2-x_y", "v1.2-x_y"), ("...", "..."), ("grün", "grün"), ("a/b", "a/b")],
)  # fmt: skip
def test_what_a_name_becomes(written: str, usable: str) -> None:
    assert usable_name(written) == usable


def test_programs_and_groups_are_converted_with_a_remark(folder: Folder, tmp_path: Path) -> None:
    parts = [f"[program:{name}]\ncommand=sleep 1\n" for name in ("all", "..", "-x", "we*b", "web")]
    text = "[supervisord]\n" + "".join(parts) + "[group:all]\nprograms=..,we*b,web\n"
    conversion = convert(str(folder.write("supervisord.conf", text)), None)
    remarks = "\n".join(map(str, conversion.notes))
    for written, usable in (("all", "all_"), ("..", "__"), ("-x", "_x"), ("we*b", "we_b")):
        assert f'is called "{usable}" here: "{written}" cannot be a name' in remarks
    assert '"web"' not in remarks
    found = loaded(write_out(conversion, tmp_path), {})
    assert found is not None
    names = {program.fullname for program in found.plan.processes()}
    assert {"_x", "all_:__", "all_:we_b", "all_:web"} <= names
