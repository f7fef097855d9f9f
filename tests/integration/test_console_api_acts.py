"""The JSON API over real HTTP: what it does, and that it does it once."""

from __future__ import annotations

import threading

import pytest

from roost_core.models import State
from roost_core.models.control import Verb
from tests.integration.api_bench import api, fits
from tests.integration.cli_bench import LIMIT
from tests.integration.redis_bench import settings_for


def test_enqueue(console):
    """It is stored, and the answer says where it is."""
    body = {"engine": "none", "payload": {"a": 1}, "any_engine": True, "priority": 5}
    reply = console.post("/work", {**body, "labels": {"team": "x"}, "max_attempts": 2})
    work_id = fits(reply, "/work", "post")["work_id"]
    assert (201, f"/api/v1/work/{work_id}") == (reply.status, reply.headers["location"])
    item = console.roost.work(work_id).status().item
    found = (item.payload, item.priority, item.labels, item.retry.max_attempts)
    assert ({"a": 1}, 5, {"team": "x"}, 2) == found


def test_an_engine_that_nobody_offers(console):
    """As on the command line: most likely it is a typo."""
    reply = console.post("/work", {"engine": "nnone"})
    assert (400, "unknown-engine") == (reply.status, fits(reply, "/work", "post")["code"])


@pytest.mark.parametrize("verb", list(Verb))
def test_each_verb_on_each_state(full, verb):
    """It is done, requested, was so before, or does not fit; never anything else."""
    for name in [row.meta.work_id for row in full.roost.list(limit=100)]:
        reply = full.post(f"/work/{name}/{verb}", {"reason": "to see"})
        said = fits(reply, "/work/{work_id}/{verb}", "post")
        assert reply.status in (200, 409), said
        if reply.status == 200:
            assert said["outcome"] in ("done", "requested", "already")


def test_who_did_it_and_why(full):
    """It is kept with the work, as for every verb."""
    full.post("/work/queued/pause", {"reason": "maintenance", "actor": "robot"})
    act = full.get("/work/queued").json["meta"]["act"]
    assert {"who": "robot", "tool": "api", "reason": "maintenance"} == act["actor"]


def test_only_if_it_is_as_it_was_seen(full):
    """State, fence and birth are what a program has looked at."""
    reply = full.post("/work/queued/cancel", {"if_state": "paused"})
    assert (200, "changed") == (reply.status, reply.json["outcome"])
    reply = full.post("/work/queued/cancel", {"created_at": "2020-01-01T00:00:00Z"})
    assert "changed" == reply.json["outcome"]
    assert "queued" == full.roost.work("queued").row().meta.state
    born = full.get("/work/queued").json["meta"]["created_at"]
    assert "done" == full.post("/work/queued/cancel", {"created_at": born}).json["outcome"]


def test_a_verb_over_a_query_is_previewed_then_done(full):
    """The preview changes nothing; then each that it fits is changed."""
    path, verb = "/work/pause?q=state:queued%20id:q*&limit=10", "/work/{verb}"
    seen = fits(full.get(path.replace("?", "/preview?")), f"{verb}/preview")
    assert (1, "queued") == (seen["total"], seen["first"][0]["work_id"])
    assert "queued" == full.roost.work("queued").row().meta.state
    done = fits(full.post(path), verb, "post")
    assert (1, 1) == (done["total"], done["outcomes"]["done"])
    assert "paused" == full.roost.work("queued").row().meta.state


def test_a_verb_over_a_query_needs_a_bound(full):
    """Who means all says how many these are; beyond that, nothing is touched."""
    assert 400 == full.post("/work/cancel?q=").status
    for number in range(3):
        full.items.new(f"many-{number}")
    done = full.post("/work/cancel?q=id:many*&limit=2").json
    assert (2, 2, False) == (done["total"], done["outcomes"]["done"], done["is_all"])


def test_hold_and_release_an_engine(console):
    """And it is told who holds it."""
    path = "/engines/{engine}/hold"
    first = fits(console.post("/engines/none/hold", {"reason": "slow"}), path, "post")
    again = console.post("/engines/none/hold").json
    assert ("done", "already") == (first["outcome"], again["outcome"])
    (held,) = console.get("/engines").json["held"]
    assert ("none", "slow") == (held["engine"], held["actor"]["reason"])
    path = "/engines/{engine}/release"
    assert "done" == fits(console.post("/engines/none/release"), path, "post")["outcome"]
    assert [] == console.get("/engines").json["held"]


# -- the same request again -----------------------------------------------------------------


def test_a_key_gives_the_same_answer_and_counts_once(full):
    """Also when what it did has been undone since."""
    first = full.post("/work/queued/pause", {}, Idempotency_Key="k-1")
    full.roost.work("queued").resume()
    again = full.post("/work/queued/pause", {}, Idempotency_Key="k-1")
    assert (first.status, first.body) == (again.status, again.body)
    assert (None, "true") == (
        first.headers.get("idempotency-replayed"),
        again.headers.get("idempotency-replayed"),
    )
    assert State.QUEUED == full.roost.work("queued").row().meta.state


def test_a_key_counts_once_across_consoles(redis_server, tmp_path):
    """The first answer was lost with the console: another one knows it by the order's id."""
    settings = settings_for(redis_server, home=tmp_path / "home")
    with api(settings) as first:
        first.items.new("w-1")
        paused = first.post("/work/w-1/pause", {}, Idempotency_Key="k-1").json
        held = first.post("/engines/none/hold", {}, Idempotency_Key="k-2").json
        body = {"engine": "none", "any_engine": True, "payload": 1}
        made = first.post("/work", body, Idempotency_Key="k-3").json
        first.roost.work("w-1").resume()
        first.roost.engine("none").release()
    with api(settings) as second:
        assert paused == second.post("/work/w-1/pause", {}, Idempotency_Key="k-1").json
        assert held == second.post("/engines/none/hold", {}, Idempotency_Key="k-2").json
        assert made == second.post("/work", body, Idempotency_Key="k-3").json
        assert State.QUEUED == second.roost.work("w-1").row().meta.state
        assert [] == list(second.roost.held_engines())
        other = second.post("/work", {**body, "payload": 2}, Idempotency_Key="k-3")
        assert (422, "key-reused") == (other.status, other.json["code"])
    with api(settings) as third:
        other = third.post("/work", {**body, "payload": 2}, Idempotency_Key="k-3")
        assert (409, "idempotency-conflict") == (other.status, other.json["code"])


def test_a_verb_over_a_query_counts_once_for_each(redis_server, tmp_path):
    """Work that was changed back since is not changed again by the same request."""
    settings = settings_for(redis_server, home=tmp_path / "home")
    path = "/work/pause?q=id:w-*&limit=10"
    with api(settings) as first:
        first.items.new("w-1")
        assert 1 == first.post(path, Idempotency_Key="k-1").json["outcomes"]["done"]
        first.roost.work("w-1").resume()
    with api(settings) as second:
        assert 200 == second.post(path, Idempotency_Key="k-1").status
        assert State.QUEUED == second.roost.work("w-1").row().meta.state


def test_a_key_is_for_one_request(full):
    """Another body, or another verb, under the same key is refused and does nothing."""
    full.post("/work/queued/pause", {"reason": "a"}, Idempotency_Key="k-1")
    for path, body in (("/work/queued/pause", {"reason": "b"}), ("/work/queued/cancel", None)):
        reply = full.post(path, body, Idempotency_Key="k-1")
        assert (422, "key-reused") == (reply.status, reply.json["code"])
    assert State.PAUSED == full.roost.work("queued").row().meta.state


def test_what_failed_can_be_tried_again_with_its_key(full):
    """A problem is not the answer for ever: nothing was done."""
    assert 409 == full.post("/work/running/drop", {}, Idempotency_Key="k-1").status
    assert 404 == full.post("/work/none-such/drop", {}, Idempotency_Key="k-2").status
    full.items.new("none-such")
    full.roost.work("none-such").cancel()
    assert 200 == full.post("/work/none-such/drop", {}, Idempotency_Key="k-2").status


def test_a_key_at_the_same_time(full):
    """Of many at once, one is carried out; the others get its answer, or are told to wait."""
    replies = []

    def send():
        replies.append(
            full.post("/work", {"engine": "none", "any_engine": True}, Idempotency_Key="k")
        )

    threads = [threading.Thread(target=send) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(LIMIT)
    assert {201, 409} >= {one.status for one in replies}
    assert 1 == len({one.json["work_id"] for one in replies if one.status == 201})


def test_run_again_from_a_version(console):
    """As new work or in its own place, edited; a repeat with the same key begins nothing more."""
    items = console.items
    items.new("w-1")
    claim = items.claim("w-1")
    items.step(claim, {"page": 1})
    items.step(claim, {"page": 2})
    body = {"version": 1, "patch": [{"op": "add", "path": "/plan", "value": "b"}], "reason": "why"}
    replies = [console.post("/work/w-1/replay", body, Idempotency_Key="k-1") for _ in range(2)]
    first, second = (fits(one, "/work/{work_id}/replay", "post") for one in replies)
    assert (201, first) == (replies[0].status, second)
    found = console.get(f"/work/{first['work_id']}").json
    assert {"page": 1, "plan": "b"} == found["snapshot"]["data"]
    assert {"work_id": "w-1", "version": 1} == found["item"]["forked_from"]
    assert f"/api/v1/work/{first['work_id']}" == replies[0].headers["location"]
    assert [first["work_id"]] == [one["work_id"] for one in console.get("/work/w-1").json["forks"]]
    assert 409 == console.post("/work/w-1/replay", {"version": 1, "in_place": True}).status
    console.roost.work(first["work_id"]).cancel()
    reply = console.post(f"/work/{first['work_id']}/replay", {"version": 2, "in_place": True})
    assert (3, "queued") == (reply.json["version"], reply.json["state"])
    refused = {
        400: [{"version": 1, "patch": {}}, {"version": 0}, {}, {"version": 1, "x": 1}],
        404: [{"version": 9}],
    }
    for status, bodies in refused.items():
        for body in bodies:
            reply = console.post("/work/w-1/replay", body)
            fits(reply, "/work/{work_id}/replay", "post")
            assert status == reply.status, (body, reply.json)
    assert 404 == console.post("/work/none/replay", {"version": 1}).status
