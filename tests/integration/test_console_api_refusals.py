"""The JSON API over real HTTP: what it refuses, and how that is told."""

from __future__ import annotations

import pytest

from roost_core.models import State
from roost_plugins.console.api.routing import ROUTES
from tests.integration.api_bench import api
from tests.integration.redis_bench import settings_for
from tests.servers import need, redis_binary, start_server

PROBLEMS = {
    "no such route": ("GET", "/nothing", None, 404, "not-found"),
    "no such work": ("GET", "/work/w-none", None, 404, "work-not-found"),
    "no id": ("GET", "/work/-", None, 400, "invalid-input"),
    "no query": ("GET", "/work?q=state:", None, 400, "invalid-input"),
    "no number": ("GET", "/work?limit=many", None, 400, "invalid-input"),
    "too many": ("GET", "/work?limit=501", None, 400, "invalid-input"),
    "no cursor": ("GET", "/work?cursor=x", None, 400, "invalid-input"),
    "unknown": ("GET", "/work?color=red", None, 400, "invalid-input"),
    "twice": ("GET", "/work?q=a&q=b", None, 400, "invalid-input"),
    "no event": ("GET", "/events?after=x", None, 400, "invalid-input"),
    "no verb": ("POST", "/work/queued/kill", b"{}", 404, "not-found"),
    "no JSON": ("POST", "/work/queued/pause", b"{", 400, "invalid-input"),
    "NaN": ("POST", "/work/queued/retry", b'{"delay_seconds": NaN}', 400, "invalid-input"),
    "no object": ("POST", "/work/queued/pause", b"[]", 400, "invalid-input"),
    "unknown field": ("POST", "/work/queued/pause", b'{"why": ""}', 400, "invalid-input"),
    "no text": ("POST", "/work/queued/pause", b'{"reason": 1}', 400, "invalid-input"),
    "for a retry": ("POST", "/work/queued/pause", b'{"max_steps": 1}', 400, "invalid-input"),
    "not now": ("POST", "/work/queued/drop", b"{}", 409, "verb-unfit"),
    "no body": ("POST", "/work", b"", 415, "unsupported-media-type"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_problems(full, case):
    """Each is one line of the core's, with the status that fits and a word for programs."""
    method, path, body, status, code = PROBLEMS[case]
    reply = full.get(path) if method == "GET" else full.post(path, body)
    assert (status, "application/problem+json") == (reply.status, reply.headers["content-type"])
    found = reply.json
    assert (status, code, "about:blank") == (found["status"], found["code"], found["type"])
    assert found["detail"]
    assert "\n" not in found["detail"]


def test_a_body_has_to_be_json(full):
    """A page of another site can send forms and plain texts without asking first."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        reply = full.post("/work/queued/pause", b"{}", Content_Type=kind)
        assert (415, "unsupported-media-type") == (reply.status, reply.json["code"])


def test_too_large_a_body(full):
    """It is refused before it is read; where that is does not matter."""
    head = (
        "POST /api/v1/work HTTP/1.1",
        f"Host: 127.0.0.1:{full.site.port}",
        f"Authorization: Bearer {full.site.token}",
        "Content-Type: application/json",
        f"Content-Length: {5 << 20}",
        "Connection: close",
    )
    found = full.site.raw("\r\n".join([*head, "", "{"]).encode())
    assert b"HTTP/1.1 413 " == found[:13]


def test_a_link_from_elsewhere_is_followed(full):
    """A browser keeps its cookie back: it is led here once more, as to a page."""
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Accept": "text/html"}
    reply = full.site.ask("GET", "/api/v1/work/queued", **link)
    assert (200, "text/html; charset=utf-8") == (reply.status, reply.headers["content-type"])
    assert f'url={full.site.origin}/api/v1/work/queued?again=1"' in reply.text
    reply = full.site.ask("GET", "/api/v1/work/queued?again=1", **link)
    assert (401, "signed-out") == (reply.status, reply.json["code"])


def test_no_other_method(full):
    """And those that there are, are named."""
    for method, path in (("PUT", "/work"), ("DELETE", "/work/queued"), ("POST", "/overview")):
        reply = full.site.ask(method, f"/api/v1{path}", Authorization=f"Bearer {full.site.token}")
        assert (405, True) == (reply.status, "GET" in reply.headers["allow"])
        assert "application/problem+json" == reply.headers["content-type"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda one: f"{one.method} {one.path}")
def test_strangers_learn_nothing(full, route):
    """Without the token, with a wrong one, and with a cookie but no Origin."""
    path = "/api/v1" + route.path.replace("{work_id}", "queued").replace("{verb}", "cancel")
    path = path.replace("{engine}", "none").replace("{artifact_id}", "0" * 64)
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        reply = full.site.ask(route.method, path, **headers)
        assert (401, "Bearer") == (reply.status, reply.headers["www-authenticate"])
        assert "application/problem+json" == reply.headers["content-type"]
    if route.changes:
        full.site.sign_in()
        reply = full.site.ask("POST", path, Cookie=full.site.cookies)
        assert (403, "no-origin") == (reply.status, reply.json["code"])
        reply = full.site.ask("POST", path, Cookie=full.site.cookies, Origin="http://evil.example")
        assert 403 == reply.status
        assert State.QUEUED == full.roost.work("queued").row().meta.state


def test_a_page_of_the_console_needs_its_origin(full):
    """With it, the cookie is enough."""
    full.site.sign_in()
    reply = full.site.post("/api/v1/work/queued/pause", b"{}", Content_Type="application/json")
    assert (200, "done") == (reply.status, reply.json["outcome"])


def test_read_only(redis_server, tmp_path):
    """Whoever only looks is served."""
    with api(settings_for(redis_server, home=tmp_path / "home"), read_only=True) as found:
        found.items.new("w-1")
        for path in ("/work", "/work/w-1/cancel", "/work/cancel?q=&limit=1", "/engines/a/hold"):
            reply = found.post(path, {})
            assert (403, "read-only") == (reply.status, reply.json["code"])
        assert State.QUEUED == State(found.get("/work/w-1").json["meta"]["state"])


def test_the_server_is_away(server_root, tmp_path):
    """It is told at once, and when to try again; nothing is taken for an empty answer."""
    server = start_server(need(redis_binary(), "redis-server"), server_root / "api-away")
    try:
        with api(settings_for(server, home=tmp_path / "home")) as found:
            server.kill()
            for reply in (found.get("/overview"), found.get("/work"), found.post("/work/a/pause")):
                assert (503, "2") == (reply.status, reply.headers["retry-after"])
                assert "backend-unavailable" == reply.json["code"]
            found_wrong = [
                one["subject"]
                for one in found.get("/doctor").json["findings"]
                if one["level"] == "problem"
            ]
            assert ["server"] == found_wrong
    finally:
        server.kill()
