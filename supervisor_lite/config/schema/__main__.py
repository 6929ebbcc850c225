"""Print the JSON Schema, or with `--reference` docs/configuration.md."""

from __future__ import annotations

import sys

from supervisor_lite.config.schema import TABLES


def text(argv: list[str]) -> str:
    """Return what is printed."""
    if argv == ["--reference"]:
        from supervisor_lite.config.schema.reference import reference

        return reference(TABLES)
    import json

    from supervisor_lite.config.schema.json_schema import json_schema

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text(sys.argv[1:]))
