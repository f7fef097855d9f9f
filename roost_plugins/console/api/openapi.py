"""The OpenAPI document, made of the routes and the models."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any, Final

import attrs
from flask import Response, request, url_for

from roost_core.models import ARTIFACT_ID, ENGINE_ID, WORK_ID, Json, Verb
from roost_plugins.console.api import shapes
from roost_plugins.console.api.answering import answer
from roost_plugins.console.api.routing import ROUTES, Route, parts, route
from roost_plugins.console.api.schemas import Schemas, name_of, of_field, of_request

#: The version of the API itself. The first number is that of the path.
VERSION: Final = "1.0.0"
_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"
_ABOUT: Final = (
    "Everything that the pages of the console show, and every verb. Fields and routes may be added "
    "within /api/v1; none is removed, and none changes its meaning."
)
_PARTS: Final[dict[str, dict[str, Json]]] = {
    "work_id": {"type": "string", "pattern": f"^{WORK_ID.pattern}$"},
    "engine": {"type": "string", "pattern": f"^{ENGINE_ID.pattern}$"},
    "artifact_id": {"type": "string", "pattern": f"^{ARTIFACT_ID.pattern}$"},
    "verb": {"type": "string", "enum": list(map(str, Verb))},
}
#: What each problem means here; of all routes the first ones.
PROBLEMS: Final = {
    400: "It cannot be read, or a value cannot be accepted.",
    401: "The token is missing or wrong.",
    403: "The console is read-only, or a page of another site asked.",
    500: "A fault in Roost or in a plugin; the log of the console has more.",
    503: "The server does not answer: `Retry-After` says when to try again.",
    404: "There is no such thing.",
    405: "It is not for this method.",
    409: "It does not fit the state of the work, or is under way.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    422: "The `Idempotency-Key` was used for another request.",
    431: "The head of the request is too large.",
    501: "The transfer encoding is not `chunked`.",
}
_ALWAYS: Final = (400, 401, 403, 405, 431, 500, 501, 503)
_CHANGING: Final = (409, 413, 415, 422)


@route("GET", "/openapi.json", "This document", may_be_fresh=True)
def openapi() -> Response:
    """Answer what the API is."""
    root = url_for("api.openapi").removesuffix("/openapi.json")
    found = answer({**document(), "servers": [{"url": root}]})
    found.add_etag()
    found.headers["Cache-Control"] = "private, no-cache"
    found.make_conditional(request)
    return found


@cache
def document() -> dict[str, Json]:
    """Return the document, but for where its server is."""
    schemas = Schemas()
    schemas.of(shapes.ProblemDetails)
    paths: dict[str, dict[str, Json]] = {}
    for one in ROUTES:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Roost", "version": VERSION, "description": _ABOUT},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "The console's token."}
            },
            "schemas": dict(sorted(schemas.known.items())),
        },
    }


def _operation(one: Route, schemas: Schemas) -> dict[str, Json]:
    found: dict[str, Json] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": _parameters(one),
        "responses": _responses(one, schemas),
    }
    if one.body is not None:
        name = name_of(one.body)
        schemas.known[name] = of_request(one.body)
        content: dict[str, Json] = {"schema": {"$ref": f"#/components/schemas/{name}"}}
        example = _example(one.body)
        if example:
            content["examples"] = {"usual": {"value": example}}
        found["requestBody"] = {"required": one.needs_body, "content": {_JSON: content}}
    return found


def _example(kind: type[Any]) -> dict[str, Json]:
    fields = attrs.fields(kind)
    return {
        field.name: field.metadata["example"]
        for field in fields
        if field.metadata["example"] is not None
    }


def _parameters(one: Route) -> list[Json]:
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": _PARTS[name]}
        for name in parts(one.path)
    ]
    for field in attrs.fields(one.query) if one.query is not None else ():
        schema = of_field(field)
        about, is_required = schema.pop("description"), field.default is attrs.NOTHING
        found.append(
            {
                "name": field.name,
                "in": "query",
                "required": is_required,
                "description": about,
                "schema": schema,
            }
        )
    if one.changes:
        about = "Sent again with the same key, the same request counts once: see docs/api.md."
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": about,
                "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
            }
        )
    return found


def _responses(one: Route, schemas: Schemas) -> dict[str, Json]:
    schema: Json = {"type": "object"} if one.answer is None else schemas.of(one.answer)
    if one.media != _JSON:
        schema = {"type": "string"}
    about = inspect.cleandoc(_ANSWERED[one.status])
    found: dict[str, Json] = {
        str(one.status): {"description": about, "content": {one.media: {"schema": schema}}}
    }
    if one.may_be_fresh:
        found["304"] = {"description": "The asker has it: its `If-None-Match` fits."}
    codes = [*_ALWAYS]
    if parts(one.path) or one.query is not None:
        codes.append(404)
    codes += _CHANGING if one.changes else [409] * bool(parts(one.path))
    problem = {_PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    for code in sorted(codes):
        found[str(code)] = {"description": PROBLEMS[code], "content": problem}
    return found


_ANSWERED: Final = {200: "The answer.", 201: "It is stored; `Location` says where."}
