"""Types of values that hold other values: lists, tables, and tables with fields of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from supervisor_lite.config.types.base import BAD, Json, Parse, Unquoted, ValueType, as_written
from supervisor_lite.config.wording import BadValueError, describe
from supervisor_lite.text import suggest

if TYPE_CHECKING:
    from supervisor_lite.config.read import Context


class ListOf(Unquoted):
    """A list, each item of one type."""

    def __init__(
        self, expected: str, item: ValueType, parse: Parse | None = None, *, at_least: int = 0
    ) -> None:
        schema: Json = {"type": "array", "items": item.schema}
        if at_least:
            schema["minItems"] = at_least
        super().__init__(expected, parse or _accept_list, schema)
        self._item = item
        self._at_least = at_least

    def parse_scalar(self, value: object) -> object:
        """Return what a list (a tuple of resolved items) means."""
        if not isinstance(value, tuple) or len(value) < self._at_least:
            raise BadValueError
        return super().parse_scalar(value)

    def read(self, raw: object, context: Context) -> object:
        """Read the items first."""
        items = read_items(self._item, raw, context)
        return BAD if items is BAD else self.parse_scalar(items)


class OneOrMore(ValueType):
    """A value, also as a string, or a list of them."""

    def __init__(self, expected: str, parse: Parse, item: ValueType, schema: Json | None = None):
        super().__init__(expected, parse, schema or one_or_list(item.schema))
        self._item = item

    def read(self, raw: object, context: Context) -> object:
        """Read the items of a list first."""
        items = read_items(self._item, raw, context)
        return BAD if items is BAD else self.parse_scalar(items)


class TableOf(ValueType):
    """A table of values by name; `type_of` a name is the type of its value.

    `type_of` raises BadValueError for what cannot be a name; its `expected` says what can. The
    value is read as an `item` then, so that everything that is wrong is reported at once.
    """

    def __init__(
        self,
        expected: str,
        parse: Parse,
        item: ValueType,
        *,
        type_of: Callable[[str], ValueType] | None = None,
        schema: Json | None = None,
        show: Callable[[object], object] = as_written,
        secret: bool = False,
    ) -> None:
        anything: Json = {"type": "object", "additionalProperties": item.schema}
        super().__init__(expected, parse, schema or anything, show=show, secret=secret)
        self._item = item
        self._type_of = type_of

    def read(self, raw: object, context: Context) -> object:
        """Read the values first."""
        if not isinstance(raw, dict):
            return self.parse_scalar(raw)
        table = {name: self._value(name, value, context) for name, value in raw.items()}
        return BAD if BAD in table.values() else self.parse_scalar(table)

    def _value(self, name: str, raw: object, context: Context) -> object:
        if self._type_of is None:
            return context.member(name, self._item, raw)
        try:
            return context.member(name, self._type_of(name), raw)
        except BadValueError as error:
            context.error(name, f'expected {error.expected}, got "{name}"{error.hint}')
            context.member(name, self._item, raw)
            return BAD


class FieldError(BadValueError):
    """A field of a Record is wrong, and `hint` says so without repeating the field's name."""


class RecordOf(TableOf):
    """A table inside a value, with fields of its own: a schema in small.

    A field is refused as `; FIELD: expected …, got …`, unless its parser raises FieldError.
    """

    def __init__(
        self,
        expected: str,
        make: Callable[..., object],
        fields: Mapping[str, ValueType],
        item: ValueType,
        *,
        required: tuple[str, ...],
        missing: str,
        or_schema: Json | None = None,
        secret: bool = False,
    ) -> None:
        """`missing` is said where a required field is; `or_schema` is what will do instead."""
        schema: Json = {
            "type": "object",
            "properties": {name: field.schema for name, field in fields.items()},
            "required": list(required),
            "additionalProperties": False,
        }
        if or_schema is not None:
            schema = {"anyOf": [or_schema, schema]}
        super().__init__(expected, make, item, schema=schema, secret=secret)
        self._make = make
        self._fields = fields
        self._required = required
        self._missing = missing

    def parse_scalar(self, value: object) -> object:
        """Return what is made of the fields."""
        if not isinstance(value, dict):
            raise BadValueError
        for name in value:
            if name not in self._fields:
                near = suggest(name, self._fields)
                raise BadValueError(hint=f' with the unknown key "{name}"{near}')
        if any(name not in value for name in self._required):
            raise BadValueError(hint=self._missing)
        resolved = {
            name: _field(name, field, value[name])
            for name, field in self._fields.items()
            if name in value
        }
        return self._make(**resolved)


def read_items(item: ValueType, raw: object, context: Context) -> object:
    """Return the items of a list as a tuple, BAD if one is wrong; all else as it is."""
    if not isinstance(raw, list):
        return raw
    items = [context.member(index, item, each) for index, each in enumerate(raw)]
    return BAD if BAD in items else tuple(items)


def one_or_list(schema: Json) -> Json:
    """Return the JSON Schema of a value or a list of such values."""
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


def _accept_list(value: object) -> object:
    return value


def _field(name: str, field: ValueType, value: object) -> object:
    try:
        return field.parse_scalar(value)
    except FieldError:
        raise
    except BadValueError as error:
        got = f"{describe(value)}{error.hint}"
        raise BadValueError(hint=f"; {name}: expected {field.expected}, got {got}") from None
