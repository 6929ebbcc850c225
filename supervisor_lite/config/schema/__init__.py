"""The shapes a configuration may hold: one table of keys, from which everything else follows.

The checks (`config/read.py`), what a changed definition needs (`config/definition.py`), the JSON
Schema for editors (`json_schema.py`), the reference in docs/configuration.md (`reference.py`) and
the import of a supervisord.conf (`migrate/keys.py`) are made from TABLES. Defaults are those of the
named tuples in `model/` and stand only there.
"""

from __future__ import annotations

from collections.abc import Mapping

from supervisor_lite.config.schema.access import ACCESS
from supervisor_lite.config.schema.daemon import DAEMON
from supervisor_lite.config.schema.eventlistener import LISTENER
from supervisor_lite.config.schema.gateway import GATEWAY
from supervisor_lite.config.schema.group import GROUP
from supervisor_lite.config.schema.key import TableSchema
from supervisor_lite.config.schema.program import PROGRAM

TABLES: Mapping[str, TableSchema] = {
    table.name: table for table in (DAEMON, PROGRAM, GROUP, LISTENER, ACCESS, GATEWAY)
}
"""Every table by its name, in the order of the reference."""
