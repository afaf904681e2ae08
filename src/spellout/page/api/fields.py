"""Dataclasses as JSON: one type says what is accepted, how OpenAPI describes it, and what a sentence refuses.

A field's schema is made of its type, of what `Annotated` adds in the words of JSON Schema, of its default and of
the text below it; a value is checked against that schema. So what is said and what is checked cannot differ.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

from ...errors import UsageError

Schema = dict[str, Any]
T = TypeVar("T", bound=object)
_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
_SAID = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
}
_SHOWN = 40


class BadRequest(UsageError):
    """A request is not as its schema says."""


def schema_of(hint: Any) -> Schema:
    """Describe a type: a scalar, an optional one, a `Literal`, a list, a dataclass (by reference), or `Any`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return schema_of(arguments[0]) | arguments[1]
    if hint is Any:
        return {}
    if origin is typing.Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0])}
    if origin in (typing.Union, types.UnionType):
        return _optional(schema_of(next(one for one in arguments if one is not type(None))))
    if hint is dict or origin is dict:
        return {"type": "object"}
    if is_dataclass(hint):
        return {"$ref": f"#/components/schemas/{cast(type, hint).__name__}"}
    return {"type": _TYPES[hint]}


def _optional(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    more = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return schema | {"type": [schema["type"], "null"]} | more


@cache
def properties_of(cls: type) -> dict[str, Schema]:
    """Describe the fields of a dataclass, in their order."""
    hints, texts = typing.get_type_hints(cls, include_extras=True), _texts_of(cls)
    found = {}
    for one in fields(cls):
        default = {} if one.default is MISSING else {"default": one.default}
        found[one.name] = schema_of(hints[one.name]) | default | {"description": texts[one.name]}
    return found


def object_schema(cls: type) -> Schema:
    """Describe a dataclass as a JSON object that has no other fields."""
    needed = [one.name for one in fields(cls) if one.default is MISSING and one.default_factory is MISSING]
    return {
        "type": "object",
        "description": inspect.getdoc(cls),
        "properties": properties_of(cls),
        **({"required": needed} if needed else {}),
        "additionalProperties": False,
    }


def _texts_of(cls: type) -> dict[str, str]:
    """Find the text below each field."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for one, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            assert isinstance(text, ast.Expr)
            assert isinstance(text.value, ast.Constant)
            texts[one.target.id] = inspect.cleandoc(str(text.value.value)).replace("\n", " ")
    return texts


def read_object(cls: type[T], content: Any) -> T:
    """Make a dataclass of a JSON value. `BadRequest` says in one sentence what is not as it should be."""
    if not isinstance(content, dict):
        raise BadRequest(f"the body must be a JSON object, and is {_shown(content)}")
    known = properties_of(cast(type, cls))
    for name in content:
        if name not in known:
            raise BadRequest(f"{_shown(name)} is no field here; there are {', '.join(known)}")
    for one in object_schema(cls).get("required", []):
        if one not in content:
            raise BadRequest(f"the field {one} is missing")
    return cls(**{name: checked(value, known[name], name) for name, value in content.items()})


def read_query(cls: type[T], pairs: Sequence[tuple[str, str]]) -> T:
    """Make a dataclass of the parameters of an address, in which everything is text."""
    known, content = properties_of(cast(type, cls)), dict[str, Any]()
    for name, text in pairs:
        if name in content:
            raise BadRequest(f"{_shown(name)} is given twice")
        content[name] = _of_text(text, known[name]) if name in known else text
    return read_object(cls, content)


def _of_text(text: str, schema: Schema) -> Any:
    """Read a text as a schema says; what cannot be read so stays text, and is refused when it is checked."""
    kinds = _kinds(schema)
    if "boolean" in kinds:
        return {"true": True, "false": False}.get(text, text)
    try:
        if "integer" in kinds:
            return int(text) if text.isascii() and "_" not in text else text
        return float(text) if "number" in kinds and text.isascii() and "_" not in text else text
    except ValueError:
        return text


def _kinds(schema: Schema) -> list[str]:
    kinds = schema["type"]
    return kinds if isinstance(kinds, list) else [kinds]


def checked(value: Any, schema: Schema, name: str) -> Any:
    """Give a value as its type wants it. `BadRequest` if it is not as the schema says."""
    kinds = _kinds(schema)
    if value is None and "null" in kinds:
        return None
    kind = kinds[0]
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)
    if kind == "number" and type(value) is int:
        value = _as_float(value)
    fitting: type = {"integer": int, "number": float, "string": str, "boolean": bool, "array": list}[kind]
    given: type = type(value)
    if given is not fitting:
        raise BadRequest(f"{name} must be {' or '.join(map(_SAID.__getitem__, kinds))}, and is {_shown(value)}")
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(one for one in schema["enum"] if one is not None)
        raise BadRequest(f"{name} must be one of {allowed}, and is {_shown(value)}")
    if kind == "array":
        _check_size(len(value), schema, name, "Items", "items")
        return [checked(one, schema["items"], f"{name}[{place}]") for place, one in enumerate(value)]
    if kind == "string":
        _check_text(value, name)
        _check_size(len(value), schema, name, "Length", "characters")
    else:
        _check_number(value, schema, name)
    return value


def _as_float(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _check_text(text: str, name: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRequest(f"{name} holds half a character (a lone surrogate), which is no text") from None


def _check_size(size: int, schema: Schema, name: str, what: str, noun: str) -> None:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}", math.inf)
    if size < least:
        raise BadRequest(f"{name} must not be empty")  # nowhere is more wanted
    if size > most:
        raise BadRequest(f"{name} may have at most {most:,} {noun}, and has {size:,}")


def _check_number(number: float, schema: Mapping[str, Any], name: str) -> None:
    least, above, most = (schema.get(word) for word in ("minimum", "exclusiveMinimum", "maximum"))
    if (
        not math.isfinite(number)
        or (least is not None and number < least)
        or (above is not None and number <= above)
        or (most is not None and number > most)
    ):
        low = f"above {above}" if above is not None else f"at least {least}"
        raise BadRequest(f"{name} must be {low} and at most {most}, and is {_shown(number)}")


def _shown(value: Any) -> str:
    """Repeat what was given, or the beginning of it."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    said = {True: "true", False: "false", None: "null"}
    text = said[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
