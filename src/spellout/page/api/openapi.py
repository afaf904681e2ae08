"""The OpenAPI 3.1 document of the API, made of the routes and their types."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from ...version import __version__
from . import answers
from .fields import Schema, object_schema, properties_of
from .requests import BODY
from .routes import ROUTES, Route

HEALTH = Route("/health", "Does the server answer?", None, answers.Health, lambda served, request, work: {})
DOCUMENT = "/openapi.json"
_REFERENCE = "#/components/schemas/"
REFUSALS = {
    400: "The request is not as described here.",
    403: "The request comes from a web page, or under a name, that is not allowed.",
    422: "The request is as described, but this run cannot do it: a letter that no line has, a label it lacks.",
    500: "A bug of spellout; its traceback is where the server runs.",
    503: "Too many requests wait already; try again a little later.",
}
OF_BODIES = {
    408: "The body did not come in time.",
    413: f"The body has more than {BODY:,} bytes.",
    415: "The body is no JSON, by its Content-Type.",
}


@cache
def document() -> Schema:
    """Give the document, as JSON holds it."""
    paths = {route.path: _path(route) for route in (*ROUTES, HEALTH)}
    text = {"description": "This document.", "content": {"application/json": {"schema": {"type": "object"}}}}
    refused = _refusals({403: REFUSALS[403]})
    paths[DOCUMENT] = {"get": {"operationId": "openapi", "responses": {"200": text} | refused}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "spellout",
            "version": __version__,
            "description": "A model of lines: it makes them, scores them, spells them out.",
        },
        "paths": paths,
        "components": {"schemas": _schemas()},
    }


def _path(route: Route) -> dict[str, Any]:
    methods: dict[str, Any] = {}
    if route.request is None or route.by_address:
        methods["get"] = _operation(route, "get") | {"parameters": _parameters(route)}
    if route.request is not None:
        body = {"application/json": {"schema": _reference(route.request)}}
        needed = "required" in object_schema(route.request)
        methods["post"] = _operation(route, "post") | {"requestBody": {"required": needed, "content": body}}
    return methods


def _operation(route: Route, method: str) -> dict[str, Any]:
    found = {"description": "The answer.", "content": {"application/json": {"schema": _reference(route.answer)}}}
    codes = REFUSALS if route.request else {code: REFUSALS[code] for code in (400, 403, 500, 503)}
    return {
        "operationId": f"{method}{route.path.replace('/', '_')}",
        "summary": route.summary,
        "responses": {"200": found} | _refusals(codes | (OF_BODIES if method == "post" else {})),
    }


def _refusals(codes: dict[int, str]) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(answers.Error)}}
    return {str(code): {"description": text, "content": content} for code, text in sorted(codes.items())}


def _parameters(route: Route) -> list[Schema]:
    """Describe the fields as parameters of an address, where nothing is null: it is left out instead."""
    if route.request is None:
        return []
    needed, found = object_schema(route.request).get("required", []), []
    for name, schema in properties_of(route.request).items():
        plain = {key: value for key, value in schema.items() if key != "description" and value is not None}
        if isinstance(kinds := plain["type"], list):
            plain["type"] = kinds[0]
        if "enum" in plain:
            plain["enum"] = [one for one in plain["enum"] if one is not None]
        one = {"name": name, "in": "query", "required": name in needed, "schema": plain}
        found.append(one | {"description": schema["description"]})
    return found


def _reference(cls: type) -> Schema:
    return {"$ref": f"{_REFERENCE}{cls.__name__}"}


def _schemas() -> dict[str, Schema]:
    """Describe the types of all routes, and those that they refer to."""
    named = {name: one for name, one in vars(answers).items() if isinstance(one, type)}
    found: dict[str, Schema] = {}
    left = [answers.Error, answers.Health]
    left += [one for route in ROUTES for one in (route.request, route.answer) if one is not None]
    while left:
        one = left.pop()
        if one.__name__ in found:
            continue
        schema = found[one.__name__] = _without_left_out(one)
        left += [named[name] for name in re.findall(rf"{_REFERENCE}(\w+)", str(schema))]
    return dict(sorted(found.items()))


def _without_left_out(cls: type) -> Schema:
    """Describe an answer, in which a field that may be left out has no default."""
    schema = object_schema(cls)
    if cls.__module__ != answers.__name__:
        return schema
    bare = {name: {k: v for k, v in one.items() if k != "default"} for name, one in schema["properties"].items()}
    return schema | {"properties": bare}
