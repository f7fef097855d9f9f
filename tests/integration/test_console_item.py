"""The page of one work item over real HTTP."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.item_bench import items_on, main, words
from tests.integration.redis_bench import settings_for

HOSTILE = '<script>alert(1)</script>"\u202e\x1b[31m'
#: None of these may be in a page, whatever strangers write.
BARRED = re.compile(r"<script>alert|\u202e|\x1b|onerror=alert\(1\)>", re.IGNORECASE)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
HTML = b"<html><script>alert(1)</script>"


@pytest.fixture
def items(redis_server, tmp_path):
    """Give a console and a queue."""
    with items_on(settings_for(redis_server, home=tmp_path)) as found:
        yield found


def test_work_that_waits(items):
    """Why, with what mends it; what it was enqueued with; its life so far."""
    items.new("w-1", {"a": 1}, title="Read it", labels={"team": "search"}, resources=("gpu",))
    page = items.page("w-1")
    text = words(main(page))
    assert "<title>w-1 · queued · Roost</title>" in page
    assert 'data-live="work:w-1"' in page
    assert "No live worker offers engine none." in text
    assert "$ roost worker --plugin PATH" in text.replace("roost worker", "$ roost worker", 1)
    for part in ("Read it", "team search", "gpu", "5 left of 5", "No step was accepted yet"):
        assert part in text
    assert "enqueued for none, queued" in text


def test_requested_and_confirmed(items):
    """A pause of running work is requested; the page says so, and by whom."""
    items.new("w-1")
    claim = items.claim("w-1")
    items.step(claim, {"page": 1})
    fields = items.fields("w-1", "pause")
    told = items.told(items.use("w-1", "pause", {**fields, "reason": "it is late"}))
    assert "w-1: pausing, after this step" == told
    page = items.page("w-1")
    assert "running (pausing, after this step)" in words(main(page))
    act = items.roost.work("w-1").row().meta.act
    assert ("console", "it is late", None) == (act.actor.tool, act.actor.reason, act.confirmed_at)
    items.step(claim, {"page": 2})
    page = items.page("w-1")
    assert "<title>w-1 · paused · Roost</title>" in page
    assert "It was paused by" in words(main(page))


def test_a_verb_counts_once(items):
    """A second click, or a form sent again after a lost answer, is the same order."""
    items.new("w-1")
    fields = items.fields("w-1", "cancel")
    assert "w-1: cancelled" == items.told(items.use("w-1", "cancel", fields))
    items.roost.work("w-1").retry()
    assert "w-1: cancelled" == items.told(items.use("w-1", "cancel", fields))
    assert "queued" == items.roost.work("w-1").row().meta.state
    kinds = [event.kind for event in items.roost.work("w-1").events()]
    assert ["enqueued", "cancelled", "retried"] == kinds


def test_what_has_changed_is_left_alone(items):
    """A dead letter that was retried meanwhile is not retried, nor dropped, by an old page."""
    items.new("w-1")
    items.roost.work("w-1").bury()
    retry, drop = items.fields("w-1", "retry"), items.fields("w-1", "drop")
    items.roost.work("w-1").retry()
    items.roost.work("w-1").cancel()
    for verb, fields in (("retry", retry), ("drop", drop)):
        told = items.told(items.use("w-1", verb, fields))
        assert "w-1: left alone: it has changed, and is cancelled" == told


def test_what_does_not_fit(items):
    """It is off on the page, with the reason, and refused in a line that says what to do."""
    items.new("w-1")
    page = items.page("w-1")
    button = re.search(r'data-opens="verb-drop"[^>]*>', page)
    assert "disabled" in button[0]
    assert "only work that has ended can be dropped: <code>roost cancel w-1</code> first" in page
    told = items.told(items.use("w-1", "drop", items.fields("w-1", "drop")))
    assert told.startswith("Nothing was done. w-1 is queued: only work that has ended")
    assert "w-1: nothing to resume: it is queued" == items.told(items.use("w-1", "resume", {}))


def test_a_retry_with_limits(items):
    """As the command takes them; what cannot be read is refused, and nothing is done."""
    items.new("w-1")
    items.roost.work("w-1").bury()
    fields = items.fields("w-1", "retry")
    bad = {"attempts": "x", "delay": "soon", "deadline": "tomorrow", "max_steps": "-1"}
    for name, text in bad.items():
        told = items.told(items.use("w-1", "retry", {**fields, name: text}))
        assert told.startswith("Nothing was done."), told
    assert "failed" == items.roost.work("w-1").row().meta.state
    form = {**fields, "attempts": "9", "delay": "10m", "deadline": "2h", "max_steps": "77"}
    assert "w-1: retried: it is sleeping" == items.told(items.use("w-1", "retry", form))
    meta = items.roost.work("w-1").row().meta
    assert (9, 77) == (meta.max_attempts, meta.max_steps)
    assert 7190 < (meta.deadline_at - meta.updated_at).total_seconds() < 7210


def test_a_drop_leads_to_the_list(items):
    """There it is said; its own page is not found any more, and tells who dropped it."""
    items.new("w-1")
    items.roost.work("w-1").cancel()
    reply = items.use("w-1", "drop", items.fields("w-1", "drop"))
    assert "/work?said=" in reply.headers["location"]
    assert "w-1: dropped" == items.told(reply)
    gone = items.site.get("/work/w-1")
    assert 404 == gone.status
    assert "It is gone" in gone.text
    assert "dropped for good by" in words(main(gone.text))


def test_no_link_makes_the_page_say_something(items):
    """What is told is kept by the console, and a key that it does not know tells nothing."""
    items.new("w-1")
    page = main(items.site.get("/work/w-1?said=dropped").text)
    assert 'class="told"' not in page


def test_an_unknown_verb(items):
    """It is refused as what cannot be read; nothing changes by GET."""
    items.new("w-1")
    found = items.use("w-1", "explode", {})
    assert (400, True) == (found.status, "There is no verb" in found.text)
    assert 405 == items.site.get("/work/w-1/cancel").status
    assert "queued" == items.roost.work("w-1").row().meta.state


def test_short_ids(items):
    """One that is unique leads on; of several, all are named; none is a page that says so."""
    items.new("scout-12")
    found = items.site.get("/work/sco")
    assert (302, True) == (found.status, found.headers["location"].endswith("/work/scout-12"))
    items.new("scout-13")
    found = items.site.get("/work/sco")
    assert 404 == found.status
    assert ["scout-12", "scout-13"] == sorted(re.findall(r'href="/work/(scout-\d+)"', found.text))
    assert 404 == items.site.get("/work/nobody").status
    assert 400 == items.site.get("/work/%2Bx").status


def test_a_dead_letter(items):
    """Its error comes with the traceback; the tab says that it needs somebody."""
    items.new("w-1")
    items.fail(
        items.claim("w-1"), "https://ada:hunter2@x.example is down", 'File "a.py", line 1, in x'
    )
    page = items.page("w-1")
    assert "<title>(1) w-1 · failed · Roost</title>" in page
    text = words(main(page))
    assert "Broken : https://ada:***@x.example is down" in text
    assert "hunter2" not in page
    assert "a.py" in text


def test_hostile_texts(items):
    """Wherever strangers can write, markup stays text, and marks that nobody sees are shown."""
    items.new("w-1", {HOSTILE: HOSTILE, "x": "<img src=x onerror=alert(1)>"}, title="<b>bold</b>")
    claim = items.claim("w-1")
    items.step(claim, {HOSTILE: HOSTILE, "password": "hunter2", "list": ["api_key=hunter2"]})
    items.fail(claim, HOSTILE, HOSTILE)
    page = items.page("w-1")
    assert [] == BARRED.findall(page)
    assert "hunter2" not in page
    assert "&lt;b&gt;bold" in page
    assert [] == re.findall(r'\sstyle="', page)


def test_a_large_snapshot_comes_after_the_page(items):
    """The page is there at once; the rest is cut, and given by branches."""
    items.new("w-1")
    claim = items.claim("w-1")
    rows = [{"n": n, "text": "word " * 40} for n in range(20_000)]
    items.step(claim, {"rows": rows, "end": True})
    page = items.page("w-1")
    assert len(page) < 80_000
    assert 'hx-get="/work/w-1/snapshot" hx-trigger="load"' in page
    part = items.site.get("/work/w-1/snapshot", HX_Request="true").text
    assert len(part) < 120_000
    assert "20,000 items" in part
    branch = re.search(r'hx-get="([^"]*at=/rows[^"]*)"', part)
    path = re.sub(r"start=\d+", "start=19990", branch[1].replace("&amp;", "&"))
    last = items.site.get(path, HX_Request="true").text
    assert "19999" in last
    assert "19989" not in last
    # Once it has been read it is in the page, so that nothing goes away when that is read again.
    assert "20,000 items" in items.page("w-1")
    items.step(claim, {"rows": []})
    assert 404 == items.site.get(path.replace("/1?", "/9?")).status


def test_a_branch_behind_a_secret(items):
    """What is hidden cannot be had by its place either."""
    items.new("w-1", {"secrets": {"inner": ["hunter2"]}, "plain": ["fine"]})
    assert "fine" in items.site.get("/work/w-1/payload?at=/plain").text
    found = items.site.get("/work/w-1/payload?at=/secrets/inner")
    assert 400 == found.status
    assert "hunter2" not in found.text
    assert 400 == items.site.get("/work/w-1/payload?at=/plain&start=x").status


def test_artifacts(items):
    """Looked at safely, and saved as bytes: nothing of them is ever a page."""
    items.new("w-1")
    claim = items.claim("w-1")
    stored = {
        name: items.artifact("w-1", data, ext=ext, name=f"{name}.{ext}")
        for name, ext, data in (
            ("page", "html", HTML),
            ("value", "json", b'{"a": [1, 2]}'),
            ("bytes", "bin", bytes(range(256))),
            ("shot", "png", PNG),
            ("liar", "png", b"GIF no: <svg onload=alert(1)>"),
            ("long", "txt", b"x" * 100_000),
        )
    }
    items.step(claim, {}, tuple(stored.values()))
    assert "page.html" in items.page("w-1")

    def look(name):
        return items.site.get(f"/work/w-1/artifacts/{stored[name].artifact_id}").text

    assert "&lt;html&gt;&lt;script&gt;" in look("page")
    assert "tree-branch" in look("value")
    assert "These bytes are no text." in look("bytes")
    assert "<img" in look("shot")
    assert "<img" not in look("liar")
    assert "68,000 more characters" in look("long")
    for name, one in stored.items():
        reply = items.site.get(f"/work/w-1/artifacts/{one.artifact_id}/file")
        assert "application/octet-stream" == reply.headers["content-type"]
        assert "nosniff" == reply.headers["x-content-type-options"]
        assert "sandbox" in reply.headers["content-security-policy"]
        assert reply.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
        if name == "page":
            assert HTML == reply.body
    picture = f"/work/w-1/artifacts/{stored['shot'].artifact_id}/picture"
    reply = items.site.get(picture)
    assert ("image/png", "attachment") == (
        reply.headers["content-type"],
        reply.headers["content-disposition"],
    )
    liar = items.site.get(f"/work/w-1/artifacts/{stored['liar'].artifact_id}/picture")
    assert 400 == liar.status


def test_artifacts_of_others(items):
    """Only what its own snapshot names is given."""
    items.new("w-1")
    other = items.artifact("w-2", b"secret", ext="txt")
    for tail in ("", "/file", "/picture", "/branch"):
        assert 404 == items.site.get(f"/work/w-1/artifacts/{other.artifact_id}{tail}").status


def test_everything_as_json(items):
    """What the command prints, as text that no browser runs."""
    items.new("w-1", {"html": "<script>alert(1)</script>"})
    reply = items.site.get("/work/w-1/json")
    assert "text/plain; charset=utf-8" == reply.headers["content-type"]
    assert "w-1" == json.loads(reply.body)["meta"]["work_id"]


def test_a_damaged_record(items):
    """It is shown for what it is, and can only be dropped."""
    items.new("w-1")
    items.poke("w-1", b"broken")
    page = items.page("w-1")
    assert "does not decode" in words(main(page))
    enabled = re.findall(r'data-opens="verb-(\w+)" aria-haspopup="dialog">', page)
    assert ["drop"] == enabled
    assert "w-1: dropped" == items.told(items.use("w-1", "drop", items.fields("w-1", "drop")))


def test_read_only(redis_server, tmp_path):
    """The page shows the commands, and no form; a verb is refused."""
    settings = settings_for(redis_server, home=tmp_path)
    with items_on(settings, read_only=True) as items:
        items.new("w-1")
        page = main(items.page("w-1"))
        assert "roost cancel w-1" in page
        assert 'method="post"' not in page
        assert 403 == items.use("w-1", "cancel", {}).status
        assert "queued" == items.roost.work("w-1").row().meta.state


def test_a_long_history(items):
    """Thousands of events make no larger page, and no more round trips."""
    items.new("w-1")
    claim = items.claim("w-1")
    for number in range(400):
        items.step(claim, {"n": number})
    page = items.page("w-1")
    assert len(page) < 200_000
    assert page.count('class="tl-') < 320
    assert "400 accepted steps" in words(main(page))
    table = items.site.get("/work/w-1/life", HX_Request="true").text
    assert table.count("<tr>") > 150


def test_what_a_newer_roost_wrote(items):
    """It is said, and nothing can be done to it from here."""
    items.new("w-1")
    items.poke("w-1", b"99 queued none something new")
    page = items.page("w-1")
    text = words(main(page))
    assert "A newer Roost wrote it (layout 99)" in text
    assert [] == re.findall(r'data-opens="verb-(\w+)" aria-haspopup="dialog">', page)
    told = items.told(items.use("w-1", "cancel", {}))
    assert "Nothing was done. a newer Roost wrote w-1 (layout 99) and can show it" == told


def test_a_damaged_snapshot(items):
    """The rest of the page is there; what is wrong stands in its place."""
    items.new("w-1", {"a": 1})
    claim = items.claim("w-1")
    items.step(claim, {"b": 2})
    items.poke("w-1 snapshot", b'{"broken')
    text = words(main(items.page("w-1")))
    assert "does not decode" in text or "snapshot" in text
    assert "a : 1" in text
    assert 409 == items.site.get("/work/w-1/snapshot/1/1?at=").status


def test_a_fork_and_its_origin(items):
    """Each page leads to the other's, and says which version it was."""
    items.new("w-1")
    claim = items.claim("w-1")
    items.step(claim, {"page": 1})
    items.step(claim, {"page": 2})
    items.roost.work("w-1").replay(1, work_id="w-2")
    origin, fork = items.page("w-1"), items.page("w-2")
    assert "Forks w-2 version 1" in words(main(origin))
    assert 'href="/work/w-2"' in main(origin)
    assert "Fork of w-1 version 1" in words(main(fork))
    assert "forked from w-1 v1" in words(main(fork))
    # What it has of its origin is not lost.
    assert "came before what is still kept" not in words(main(fork))
