"""Tables that are missing, or have not the columns that they should: made anew, empty."""

from __future__ import annotations

import contextlib
import os
import sqlite3

from supervisor_lite.store.migrations import migrate

COLUMNS = {
    "changes": "change,name,serial,time",
    "meta": "key,value",
    "processes": "definition,name,record",
    "runs": "boot,cause,code,ended,inode,intended,last_words,maxrss,name,pid,run,signal,"
    "spawned,start,stime,utime",
}
"""What the current schema has; a test compares it with that."""

_READ = """
SELECT m.name, (SELECT group_concat(name) FROM
 (SELECT name FROM pragma_table_info(m.name) ORDER BY name))
FROM sqlite_master m WHERE m.type = 'table'
"""


def columns(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the columns of every table."""
    rows = connection.execute(_READ).fetchall()
    return {name: text for name, text in rows if not name.startswith("sqlite_")}


def restore_tables(connection: sqlite3.Connection) -> list[str]:
    """Make the tables anew that cannot be used; return their names. What was there stays aside.

    The table `meta` cannot be: without it nobody knows whose journal this is. Raises sqlite3.Error.
    """
    present = columns(connection)
    if present.get("meta") != COLUMNS["meta"]:
        raise sqlite3.DatabaseError("the table meta is missing")
    lost = [name for name, text in COLUMNS.items() if present.get(name) != text]
    if not lost:
        return []
    statements = _definitions(lost)
    connection.execute("BEGIN IMMEDIATE")
    for name in lost:
        if name in present:
            _set_aside(connection, name)
    for sql in statements:
        connection.execute(sql)
    connection.execute("COMMIT")
    return lost


def _set_aside(connection: sqlite3.Connection, name: str) -> None:
    """Give a table another name, and the names of its indexes back."""
    aside = f"{name}_aside_{os.urandom(4).hex()}"
    connection.execute(f'ALTER TABLE "{name}" RENAME TO "{aside}"')
    sql = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql NOTNULL"
    for (index,) in connection.execute(sql, (aside,)).fetchall():
        connection.execute(f'DROP INDEX "{index}"')


def _definitions(names: list[str]) -> list[str]:
    """Return what makes these tables, with their indexes, as the current schema has them."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, 0)
        rows = fresh.execute(
            "SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC"
        ).fetchall()
    return [sql for name, sql in rows if name in names]
