# ruff: noqa: E501 - a table: one key, one line
"""The keys of [group.NAME]."""

from __future__ import annotations

from supervisor_lite.config.schema.key import Key, Shape, TableSchema
from supervisor_lite.config.types import basic, text
from supervisor_lite.model.plan import Group

GROUP = TableSchema(
    "group",
    Shape.NAMED,
    "Programs that are named, started and stopped together. They lose the group of their own.",
    (
        Key("programs", text.NAMES, "The programs of this group. Those of one priority start in this order.", default=[], supervisor_name="programs"),
        Key("priority", basic.NUMBER, "The priority of the group.", Group, supervisor_name="priority"),
    ),
)  # fmt: skip
