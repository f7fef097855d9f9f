"""The OpenAPI document is complete, and fit for programs."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec

import attrs
import pytest
from flask import Flask

from roost_core.models.control import Verb
from roost_plugins.console.api import blueprint
from roost_plugins.console.api.openapi import document
from roost_plugins.console.api.routing import ROUTES, parts
from tests.servers import need


def rules():
    """Return the method and path of all that the application routes."""
    app = Flask(__name__)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.register_blueprint(blueprint)
    found = set()
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api."):
            path = re.sub(r"<(?:[^:>]*:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1"))
            found |= {(method, path) for method in rule.methods - {"HEAD", "OPTIONS"}}
    return found


def test_every_route_is_in_it():
    """And nothing that is not routed."""
    said = {
        (method.upper(), path)
        for path, methods in document()["paths"].items()
        for method in methods
    }
    assert rules() == said


def test_every_route_has_all_that_it_takes():
    """Parts of the path, an answer, problems, a name of its own, and a key where it changes."""
    names = set()
    for route in ROUTES:
        found = document()["paths"][route.path][route.method.lower()]
        names.add(found["operationId"])
        assert str(route.status) in found["responses"]
        assert {"400", "401", "403", "500", "503"} <= set(found["responses"])
        said = {(one["in"], one["name"]) for one in found["parameters"]}
        assert {("path", name) for name in parts(route.path)} <= said
        assert route.changes == (("header", "Idempotency-Key") in said)
    assert len(ROUTES) == len(names)


def test_every_verb_is_offered():
    """On one work item, and on many."""
    paths = document()["paths"]
    for path in ("/work/{work_id}/{verb}", "/work/{verb}"):
        known = {one["name"]: one["schema"] for one in paths[path]["post"]["parameters"]}
        assert list(map(str, Verb)) == known["verb"]["enum"]


def test_every_reference_leads_somewhere():
    """Every schema that is named is there, and every one that is there is named."""
    text = json.dumps(document())
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert named == set(document()["components"]["schemas"])


def test_nothing_secret_is_promised():
    """A lease has a token, which no answer has."""
    assert "token" not in document()["components"]["schemas"]["Lease"]["properties"]


def test_every_schema_is_one():
    """By the draft that OpenAPI 3.1 names."""
    need("" if find_spec("jsonschema_rs") else None, "jsonschema-rs")
    import jsonschema_rs

    known = document()["components"]
    for schema in known["schemas"].values():
        jsonschema_rs.meta.validate({**schema, "components": known})


def test_examples_are_valid():
    """Whoever copies one has a request that works."""
    for route in ROUTES:
        for kind in (route.query, route.body):
            for field in attrs.fields(kind) if kind is not None else ():
                example = field.metadata["example"]
                if example is not None:
                    assert example == field.metadata["kind"].check(example)


@pytest.mark.parametrize("route", ROUTES, ids=lambda one: one.name)
def test_reading_never_changes(route):
    """A link, a prefetch or a crawler can follow a GET."""
    assert ("GET" == route.method) == (not route.changes)
