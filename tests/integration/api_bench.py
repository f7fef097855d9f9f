"""A console's API, on a queue with work in every state and of every kind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import attrs

from roost_core import Settings, SyncRoost
from roost_plugins.console.api.openapi import document
from roost_plugins.console.api.routing import PREFIX
from tests.consoles import Reply, Site, console_here, plugins_of
from tests.integration.item_bench import Items
from tests.servers import need

#: What nobody should write into a title, an error or a payload, and somebody will.
HOSTILE = "<script>alert(1)</script> \u202e\u2066 password=hunter2 \x07"


@attrs.define(eq=False)
class Api:
    """The API as a program reaches it."""

    site: Site
    items: Items

    @property
    def roost(self) -> SyncRoost:
        """A connection beside the console's."""
        return self.items.roost

    def get(self, path: str, **headers: str | None) -> Reply:
        """Ask for something."""
        return self.site.ask("GET", PREFIX + path, **{**self._token, **headers})

    def post(self, path: str, body: Any = None, **headers: str | None) -> Reply:
        """Change something; a body of bytes is sent as it is."""
        data = body if isinstance(body, bytes) else b"" if body is None else _dumped(body)
        usual = {**self._token, "Content_Type": "application/json" if data else None}
        return self.site.ask("POST", PREFIX + path, data, **{**usual, **headers})

    @property
    def _token(self) -> dict[str, str | None]:
        return {"Authorization": f"Bearer {self.site.token}"}


def _dumped(body: Any) -> bytes:
    return json.dumps(body).encode()


def fill(items: Items) -> Mapping[str, str]:
    """Fill a queue with work in every state that needs no worker; return an id for each."""
    data = {"pages": [{"url": "https://example.com", "~/": 1}], "text": HOSTILE}
    found, claims = {}, {}
    for name in ("done", "failed", "running"):
        found[name] = items.new(name, {"a": [1, None, HOSTILE]}, resources=(f"r-{name}",))
        claims[name] = items.claim(name)
    kept = items.artifact("done", b"<script>", ext="html", name="page \u202e.html")
    items.step(claims["done"], data, [kept], done=True)
    items.fail(claims["failed"], HOSTILE, f"Traceback\n{HOSTILE}")
    found["waiting"] = items.new("waiting", resources=("r-running",), labels={"team": "search"})
    found["queued"] = items.new("queued", title="An \u202eodd title")
    found["sleeping"] = items.new("sleeping", delay_seconds=3600)
    found["paused"] = items.new("paused")
    items.roost.work("paused").pause(reason="for now", actor="somebody")
    found["cancelled"] = items.new("cancelled")
    items.roost.work("cancelled").cancel()
    found["corrupt"] = items.new("corrupt")
    items.poke("corrupt", b"no record")
    items.roost.engine("resting").hold(reason="for now")
    return found


@contextlib.contextmanager
def api(settings: Settings, **own: Any) -> Iterator[Api]:
    """Serve a console, and give its API."""
    with (
        SyncRoost.connect(settings, plugins=plugins_of()) as roost,
        console_here(settings, **own) as site,
    ):
        yield Api(site, Items(site, roost))


def fits(reply: Reply, path: str, method: str = "get") -> Any:
    """Return the JSON of an answer, which has to be as the document says."""
    known = document()
    answers = known["paths"][path][method]["responses"]
    assert str(reply.status) in answers, reply.text
    ((media, content),) = answers[str(reply.status)]["content"].items()
    assert media == reply.headers["content-type"], reply.text
    schema = {**content["schema"], "components": known["components"]}
    need("" if find_spec("jsonschema_rs") else None, "jsonschema-rs")
    import jsonschema_rs

    errors = [
        f"{'/'.join(map(str, one.instance_path))}: {one.message}"
        for one in jsonschema_rs.validator_for(schema).iter_errors(reply.json)
    ]
    assert [] == errors
    return reply.json
