"""docs/configuration.md, generated from the table of keys."""

from __future__ import annotations

from collections.abc import Mapping

from supervisor_lite.config.schema.key import Key, TableSchema

_HEAD = """\
# The configuration

<!-- Generated: python -m supervisor_lite.config.schema --reference > docs/configuration.md -->

`supervisor-lite -c FILE|DIR`. Without `-c` the first of these that exists: `./supervisor.toml`,
`$XDG_CONFIG_HOME/supervisor-lite/supervisor.toml` (`~/.config` if that is not set),
`/etc/supervisor-lite/supervisor.toml`. A directory with a `supervisor.toml` is read from
that file, and what it includes; of one without, such as a `conf.d`, every `*.toml` is read.
`supervisor-lite --check` says what is wrong and exits 0 or 2; `slctl schema` prints a JSON Schema,
with which an editor completes and checks the file.

```toml
[program.web]
command = "gunicorn app:app"
directory = "/srv/app"
user = "www-data"
environment = { PORT = "80%(process_num)02d" }
numprocs = 4
process_name = "%(program_name)s_%(process_num)d"

[program.worker]
command = ["celery", "-A", "tasks", "worker"]
autorestart = true

[group.site]
programs = ["web", "worker"]
priority = 10
```

A file is [TOML](https://toml.io) in UTF-8. The keys are those of Supervisor, with the types of
TOML: text is in quotes, `true` and `false` are not.

## Files

- The main file includes others by `[daemon] include`. They hold programs, groups and access;
  `[daemon]` stands in the main file only. An included file includes nothing.
- A directory is read as its `*.toml` files in the order of their names; one of them may hold
  `[daemon]`.
- A program or group is defined once.
- The whole configuration is checked before anything happens. Everything that is wrong is reported
  at once, as `file:line: key: what is wrong`. A key that does not exist is wrong.
- A relative path is relative to the directory of the file it stands in, and `~` is the home of the
  daemon's user.

## Values

- **Sizes** are bytes, or a string with a unit of 1024: `1048576`, `"50MB"`, `"1.5 GB"`, `"64k"`.
- **Durations** are seconds, or a string: `10`, `0.5`, `"1m30s"`, `"250ms"`, `"2h"`, `"1d"`.
- **Signals** are names with or without SIG, or numbers: `"TERM"`, `"SIGUSR1"`, `"RTMIN+1"`, `15`.
- **Modes** are octal: `"022"` or `0o22`. A bare `22` is refused, because it means 0o26.
- **Environment**: values are strings, whole numbers, `true` or `false` (which become those
  words). A number with a point is refused, because TOML's `3.10` is `3.1`: put it in quotes.
- **Users** are names or numbers, and must exist.
- A **command** is not given to a shell: no `$HOME`, no `|`, no `&&`. For those, run
  `["sh", "-c", "…"]`.

## Expansions

Every string may hold these. A percent sign itself is written `%%`.

| expansion | is | where |
|---|---|---|
| `%(here)s` | the directory of the file the value stands in | everywhere |
| `%(host_node_name)s` | the name of this machine | everywhere |
| `%(ENV_X)s` | the environment variable X | everywhere |
| `%(program_name)s` | the NAME of `[program.NAME]` | `[program]` |
| `%(group_name)s` | the group; that of a program of its own has its name | `[program]`, `[group]` |
| `%(process_num)d`, `%(process_num)02d` | the number of the process | keys marked ● |
| `%(numprocs)d` | how many there are | keys marked ● |

Variables come from the environment of the daemon, over that from `[daemon] environment` (in
`[program]` and `[group]`), over that from the program's own `environment` (in keys marked ●, except
`environment` itself). Where a number or a boolean is expected, a string with an expansion will do:
`numprocs = "%(ENV_WORKERS)s"`. A command is expanded first and split afterwards, so a variable may
hold several arguments; in a list each item stays one argument.
"""

_LOGS = """\

Logs of programs: "auto" is made in `log_dir`; the directory of any other path must exist and be
writable. "none" (or "off") keeps nothing. "syslog" sends each line to syslog and keeps no file.
Two processes cannot write to one file, except to devices such as `/dev/stdout`. For stdout and
stderr in one file, use `redirect_stderr`.
"""


def reference(tables: Mapping[str, TableSchema]) -> str:
    """Return the text of docs/configuration.md."""
    parts = [_HEAD]
    for table in tables.values():
        parts.append(f"\n## `{table.shape.value.format(table.name)}`\n\n{table.doc}\n\n")
        parts.append("| key | value | default | meaning |\n|---|---|---|---|\n")
        common = tables["program"].keys if table.name != "program" else ()
        parts.extend(_row(key) for key in table.keys if key not in common)
        if table.name == "program":
            parts.append(_LOGS)
    return "".join(parts)


def _row(key: Key) -> str:
    name = f"`{key.name}`" + (" ●" if key.per_process else "")
    if key.aliases:
        name += " (also " + ", ".join(f"`{alias}`" for alias in key.aliases) + ")"
    cells = (name, _cell(key.value_type.expected), _cell(_default(key)), _cell(key.doc))
    return f"| {' | '.join(cells)} |\n"


def _default(key: Key) -> str:
    if key.shown:
        return key.shown
    if key.required:
        return "required"
    default = key.shown_default()
    return "" if default is None or default == {} else f"`{toml(default)}`"


def toml(value: object) -> str:
    """Write a default as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
