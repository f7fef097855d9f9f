"""The JSON API over real HTTP: what it answers."""

from __future__ import annotations

import json

import pytest

from roost_core.client.requests import EnqueueRequest
from tests.consoles import Stream
from tests.integration.api_bench import fits

LOOKS = [
    "/overview",
    "/work",
    "/events",
    "/dead-letters",
    "/workers",
    "/resources",
    "/engines",
    "/plugins",
    "/doctor",
]


@pytest.mark.parametrize("path", LOOKS)
def test_the_queue_is_answered_as_the_document_says(full, path):
    """Whatever is in it; and of an empty queue, too (below)."""
    assert fits(full.get(path), path)


def test_an_empty_queue_is_answered_as_the_document_says(console):
    """Nothing is there, and nothing is missing."""
    for path in LOOKS:
        fits(console.get(path), path)


def test_the_doctor_says_the_same_as_its_page(full):
    """Settings, plugins, server, work, artifacts and workspaces."""
    told = {one["subject"] for one in full.get("/doctor").json["findings"]}
    assert {"settings", "plugin redis_saq", "server", "work", "artifacts", "workspaces"} <= told
    full.site.sign_in().get("/doctor/run")
    page = full.site.get("/doctor").text
    assert [] == [one for one in told if one not in page]


@pytest.mark.parametrize("part", ["", "/why", "/events", "/snapshot", "/history", "/artifacts"])
def test_each_work_item_is_answered_as_the_document_says(full, part):
    """In whatever state it is; what cannot be answered is a problem that the document has."""
    path = f"/work/{{work_id}}{part}"
    found = {
        name: full.get(f"/work/{name}{part}")
        for name in [row.meta.work_id for row in full.roost.list(limit=100)]
    }
    for reply in found.values():
        fits(reply, path)
    assert 200 == found["done"].status


def test_the_list_is_read_page_by_page(console):
    """Each work item once, up to the last page."""
    for number in range(7):
        console.items.new(f"w-{number}")
    seen, cursor = [], ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = fits(console.get(f"/work?limit=3&q=state:queued{more}"), "/work")
        seen += [row["work_id"] for row in page["items"]]
        cursor = page["cursor"]
    assert sorted(f"w-{number}" for number in range(7)) == sorted(seen)


def test_the_list_the_other_way_round(console):
    """From its end."""
    for number in range(3):
        console.items.new(f"w-{number}")
    rows = {
        way: [one["work_id"] for one in console.get(f"/work?reverse={way}").json["items"]]
        for way in ("false", "true")
    }
    assert rows["false"] == rows["true"][::-1]


def test_the_list_counts_as_well(full):
    """Apart by state, and without any row if none is wanted."""
    page = fits(full.get("/work?limit=0&by=state"), "/work")
    counts = {one["name"]: one["count"] for one in page["count"]["groups"]}
    assert ([], 1, 1) == (page["items"], counts["done"], counts["paused"])


def test_answers_are_those_of_the_command_line(full, shell):
    """One encoder: programs need not learn two shapes."""
    settings = full.roost.settings
    shell.variables.update(
        ROOST_NAMESPACE=settings.namespace,
        ROOST_QUEUE=settings.queue,
        ROOST_HOME=str(settings.home),
    )
    said = {
        "/work/done": ("status", "done"),
        "/work/failed/why": ("why", "failed"),
    }
    for path, command in said.items():
        typed = shell.run(*command, "--json")
        assert json.loads(typed.stdout).keys() == full.get(path).json.keys()
    rows = json.loads(shell.run("list", "state:done", "--json").stdout)
    assert rows == full.get("/work?q=state:done").json["items"]


def test_a_part_of_a_snapshot(full):
    """A JSON pointer leads into its data, with the signs that it escapes."""
    found = fits(full.get("/work/done/snapshot?at=/pages/0/~0~1"), "/work/{work_id}/snapshot")
    assert (1, "/pages/0/~0~1") == (found["value"], found["at"])
    assert 404 == full.get("/work/done/snapshot?at=/pages/1").status
    assert 400 == full.get("/work/done/snapshot?at=pages").status


def test_versions(console):
    """What each step has changed, and a version that is gone."""
    items = console.items
    items.new("w-1")
    claim = items.claim("w-1")
    for page in (1, 2, 3):
        items.step(claim, {"page": page})
    found = fits(console.get("/work/w-1/history?limit=2"), "/work/{work_id}/history")
    assert [3, 2] == [one["version"] for one in found["versions"]]
    for query, ends in (("", (2, 3)), ("?old=1", (1, 3)), ("?old=3&new=1", (3, 1))):
        found = fits(console.get(f"/work/w-1/diff{query}"), "/work/{work_id}/diff")
        assert ends == (found["old"], found["new"])
        (change,) = found["patch"]
        assert ("replace", "/page", ends[1]) == (change["op"], change["path"], change["value"])
    assert 404 == console.get("/work/w-1/diff?old=9").status
    assert 400 == console.get("/work/w-1/diff?old=0").status


def test_what_the_asker_has_is_not_sent_again(full):
    """A snapshot until the next step, an artifact for ever."""
    (artifact,) = full.get("/work/done/artifacts").json["artifacts"]
    for path in ("/snapshot", f"/artifacts/{artifact['artifact_id']}"):
        first = full.get(f"/work/done{path}")
        again = full.get(f"/work/done{path}", If_None_Match=first.headers["etag"])
        assert (200, 304, b"") == (first.status, again.status, again.body)


def test_the_bytes_of_an_artifact_are_a_file(full):
    """Whatever they are: a browser saves them, and runs nothing."""
    (artifact,) = full.get("/work/done/artifacts").json["artifacts"]
    found = full.get(f"/work/done/artifacts/{artifact['artifact_id']}")
    assert (200, b"<script>") == (found.status, found.body)
    assert "application/octet-stream" == found.headers["content-type"]
    assert found.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in found.headers["content-security-policy"]
    assert 404 == full.get(f"/work/done/artifacts/{'0' * 64}").status
    assert 404 == full.get("/work/queued/artifacts/x").status


def test_the_token_is_never_in_an_answer(full):
    """A lease's token would let a program commit in its place."""
    assert "token" not in full.get("/work/running").json["meta"]["lease"]
    assert "hunter2" not in json.dumps(full.get("/work/failed").json["meta"])


def test_events_after_one(full):
    """Each once, in order, until there are no more."""
    after, seen = "0-0", []
    while page := fits(full.get(f"/events?limit=4&after={after}"), "/events")["events"]:
        seen += [one["event_id"] for one in page]
        after = seen[-1]
    assert [one.event_id for one in full.roost.events(after="0-0", limit=1000)] == seen


def test_the_live_stream_needs_the_token_only(console):
    """What happens comes at once, as on the pages."""
    headers = {"Authorization": f"Bearer {console.site.token}"}
    stream = Stream(console.site, "/api/v1/events/live", **headers)
    try:
        stream.next("pulse")
        console.items.new("w-live")
        assert "w-live" == stream.until(lambda kind, data: kind == "happened")["work"]
    finally:
        stream.close()


#: What is asked of each route that shows something.
ASKED = [
    *(path for path in LOOKS if path != "/plugins"),
    "/work?q=state:queued&by=engine&limit=20",
    "/work/first",
    "/work/first/why",
    "/work/first/events",
    "/work/first/history",
    "/work/cancel/preview?q=id:first&limit=5",
]


@pytest.mark.parametrize("path", ASKED)
def test_an_answer_takes_as_many_round_trips_whatever_the_queue(console, path):
    """With hundreds of work items as with a few."""

    async def calls(roost):
        found = await roost.ledger.client.info("commandstats")
        # Other commands are mostly those in scripts.
        names = ("cmdstat_evalsha", "cmdstat_xrange", "cmdstat_xrevrange")
        return sum(found.get(name, {"calls": 0})["calls"] for name in names)

    def cost():
        assert 200 == console.get(path).status  # what is asked for once only, is
        before = console.roost.run(calls)
        assert 200 == console.get(path).status
        return console.roost.run(calls) - before

    console.items.new("first")
    few = cost()
    requests = [EnqueueRequest(engine="none", payload=n) for n in range(300)]
    console.roost.enqueue_many(requests, any_engine=True)
    many = cost()
    assert many <= few + 2, (few, many)
