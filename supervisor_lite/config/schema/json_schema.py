"""The table of keys as a JSON Schema, with which an editor completes and checks a file."""

from __future__ import annotations

from supervisor_lite.config.schema import TABLES
from supervisor_lite.config.schema.key import Key, Shape, TableSchema
from supervisor_lite.config.types.base import Json
from supervisor_lite.config.types.text import NAME


def json_schema() -> Json:
    """Return a JSON Schema (draft 2020-12) with which an editor checks a configuration file."""
    properties: Json = {}
    for table in TABLES.values():
        reference: Json = {"$ref": f"#/$defs/{table.name}"}
        about: Json = {"description": table.doc}
        if table.shape is Shape.NAMED:
            names = {"propertyNames": NAME.schema}
            about |= {"type": "object", **names, "additionalProperties": reference}
        elif table.shape is Shape.LIST:
            about |= {"type": "array", "items": reference}
        else:
            about |= reference
        properties[table.name] = about
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "supervisor-lite configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": {table.name: _table_schema(table) for table in TABLES.values()},
    }


def _table_schema(table: TableSchema) -> Json:
    properties: Json = {}
    for key in table.keys:
        schema = key.value_type.json_schema()
        properties[key.name] = _with_default({"description": key.doc, **schema}, key)
        for alias in key.aliases:
            about = {"description": f"The same as {key.name}.", "deprecated": True}
            properties[alias] = {**about, **schema}
    required = [key.name for key in table.keys if key.required]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _with_default(schema: Json, key: Key) -> Json:
    default = None if key.shown and not key.default else key.shown_default()
    return schema if default is None else {**schema, "default": default}
