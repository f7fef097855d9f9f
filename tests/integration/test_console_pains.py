"""What users of other consoles suffer from: a stale failure, a guess, two ways to write a time."""

from __future__ import annotations

import re

import pytest

from roost_core.models import Heartbeat
from tests.integration.item_bench import Items, items_on, main, words
from tests.integration.redis_bench import settings_for

#: Where the exact time belongs: on hover, in raw data, in what is to be typed.
ELSEWHERE = re.compile(r"<(time|code|pre|script)\b.*?</\1>|<[^>]*>", re.DOTALL)
#: A time as a program writes it, or by a clock of twelve hours.
EXACT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:|\b\d{1,2}:\d\d(:\d\d)? ?([ap]m|AM|PM|UTC|Z)\b")
PAGES = ("/", "/work", "/events", "/failed", "/artifacts", "/workers", "/resources", "/doctor")


@pytest.fixture
def settings(redis_server, tmp_path):
    """Give the settings of a queue."""
    return settings_for(redis_server, home=tmp_path / "home")


@pytest.fixture
def items(settings):
    """Give a console and a queue."""
    with items_on(settings) as found:
        yield found


def life(items: Items) -> str:
    """Return the life of the one work item as a table, without how long ago that was."""
    page = items.site.get("/work/w-1/life").text
    return re.sub(r"\bnow\b|[\d.]+ m?s( ago)?", "", words(f"<main{main(page)}"))


def fill(items: Items) -> list[str]:
    """Make work of which each has times of its own; return the ids."""
    items.new("runs", resources=("site",))
    running = items.claim("runs")
    items.step(running, {"page": 1})
    items.beat(running, Heartbeat(0.5, "reading", running.lease.expires_at))
    items.new("fails")
    items.fail(items.claim("fails"), "no table in the page", "Traceback\n  none")
    items.new("sleeps", delay_seconds=3600, deadline_seconds=7200)
    items.new("rests", deadline_seconds=86_400)
    items.roost.work("rests").pause(reason="for now", actor="somebody")
    items.new("waits", resources=("site",), deadline_seconds=60)
    items.new("gone")
    items.roost.work("gone").cancel(reason="not needed")
    items.roost.engine("none").hold(reason="for now")
    return ["runs", "fails", "sleeps", "rests", "waits", "gone"]


def test_every_time_is_told_in_the_same_way(items):
    """Relative, with the exact one on hover: no page mixes zones or clocks in its own words."""
    paths = [*PAGES, *(f"/work/{one}" for one in fill(items)), "/work/runs/life"]
    items.site.get("/doctor/run")
    found = {}
    for path in paths:
        page = items.site.get(path)
        assert 200 == page.status, path
        text = ELSEWHERE.sub(" ", f"<main{main(page.text)}")
        told = EXACT.search(text)
        if told:
            found[path] = text[max(0, told.start() - 60) : told.end() + 20]
    assert {} == found


def test_a_failure_that_is_over_is_history(items):
    """After a retry that went well nothing says that it has failed, but what happened is kept."""
    items.new("w-1")
    items.fail(items.claim("w-1"), "no table in the page")
    assert "1 dead letter" in words(items.site.get("/").text)
    items.roost.work("w-1").retry()
    items.step(items.claim("w-1"), {"page": 2}, done=True)
    overview, page = main(items.site.get("/").text), main(items.page("w-1"))
    assert "All is well" in words(overview)
    assert "no table in the page" not in overview
    why = page.partition('id="why"')[2].partition("</section>")[0] or page.partition("Life")[0]
    assert "no table in the page" not in why
    assert "badge-good" in page
    assert "badge-bad" not in page
    assert "no table in the page" in page.partition("Life")[2]
    assert "No dead letters" in words(items.site.get("/failed").text)
    assert "no table in the page" not in items.site.get("/work").text


def test_words_do_not_grow_old(items):
    """A page of work that has ended is not read again: when that was is told by its clock."""
    items.new("done")
    items.step(items.claim("done"), {"page": 1}, done=True)
    items.new("dead")
    items.fail(items.claim("dead"), "no table in the page")
    items.new("off")
    items.roost.work("off").cancel(reason="not needed")
    items.new("rests")
    items.roost.work("rests").pause(reason="for now")
    found = {}
    for one in ("done", "dead", "off", "rests"):
        (text,) = re.findall(r'<p class="why-sentence">(.*?)</p>', items.page(one), re.DOTALL)
        found[one] = ('data-time="ago"' in text, " ago" in ELSEWHERE.sub(" ", text))
    assert set(found.values()) == {(True, False)}, found


def test_running_is_no_guess(items):
    """A lease is one until it ends, but of a worker that is not there the page says just that."""
    items.new("w-1")
    items.claim("w-1")
    assert "worker-1" in items.page("w-1")
    told = words(main(items.page("w-1")))
    assert "Its worker worker-1 is not in the register; the lease ends in" in told


def test_a_query_that_cannot_be_read_is_not_an_empty_list(items):
    """Nor is one that finds nothing an error, on any page that takes one."""
    for path in ("/work", "/artifacts"):
        wrong, nothing = items.site.get(f"{path}?q=stat:x"), items.site.get(f"{path}?q=state:done")
        assert (400, 200) == (wrong.status, nothing.status)
        assert "there is no" in words(wrong.text) or "unknown" in words(wrong.text)


def test_what_has_happened_outlives_the_console(settings):
    """It is kept by the queue: a console that begins knows it all."""
    with items_on(settings) as items:
        items.new("w-1")
        items.fail(items.claim("w-1"), "no table in the page")
        items.roost.work("w-1").retry(reason="mended", actor="ada")
        before = life(items)
        events = items.site.get("/events").text.count("data-event=")
    with items_on(settings) as items:
        assert "ada" in before
        assert before == life(items)
        assert 4 <= events == items.site.get("/events").text.count("data-event=")
        assert "no table in the page" in items.page("w-1")
