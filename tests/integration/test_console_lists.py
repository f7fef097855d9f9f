"""The list of work, dead letters and events over real HTTP."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import quote

import pytest

from roost_core.client.requests import EnqueueRequest
from roost_core.models import Heartbeat
from roost_plugins.console.pages import artifacts, work
from tests.integration.item_bench import items_on, main, words
from tests.integration.redis_bench import settings_for

HOSTILE = '<script>alert(1)</script>"\u202e\x1b[31m'
TITLE = '<script>alert(1)</script>"'
BARRED = re.compile(r"<script>alert|\u202e|\x1b")


@pytest.fixture
def items(redis_server, tmp_path):
    """Give a console and a queue."""
    with items_on(settings_for(redis_server, home=tmp_path)) as found:
        yield found


def many(items, number, **fields):
    """Enqueue many at once; their ids are w-000 and so on."""
    requests = [
        EnqueueRequest(engine="none", work_id=f"w-{place:03}", **fields) for place in range(number)
    ]
    items.roost.enqueue_many(requests, any_engine=True)


def get(items, path, status=200):
    """Return a page."""
    found = items.site.get(path)
    assert status == found.status, found.text
    return found.text


def ids(page):
    """Return the ids of the rows, in order."""
    return [unescape(one) for one in re.findall(r'data-row="([^"]*)"', page)]


def link(page, text):
    """Return where the link with this text leads to; None: there is none."""
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>(?:<svg.*?</svg>)?{text}', page)
    return None if found is None else unescape(found[1])


def test_the_list_is_that_of_the_query(items):
    """As `roost list` has it, and the command that prints it."""
    items.new("a-1", labels={"team": "search"}, title="Read it")
    items.new("b-2", title="Write it")
    page = get(items, "/work?q=label:team%3Dsearch")
    assert ["a-1"] == ids(page)
    assert 'value="label:team=search"' in page
    text = words(main(page))
    assert "roost list label:team=search" in text
    assert "1 work item, newest first" in text
    assert ["b-2", "a-1"] == ids(get(items, "/work"))


def test_a_wrong_word_is_pointed_at(items):
    """The query stays in its box, the word is marked, and nothing is called empty."""
    found = items.site.get("/work?q=engine:none+stat:failed")
    assert 400 == found.status
    assert 'value="engine:none stat:failed"' in found.text
    assert 'aria-invalid="true" aria-describedby="query-problem"' in found.text
    assert "<mark>stat:failed</mark>" in found.text
    text = words(main(found.text))
    assert "at character 13: unknown stat:; did you mean state?" in text
    assert "No work" not in text
    assert "Nothing" not in text


def test_pages_by_cursor(items):
    """Each work item once; back leads to where one came from; the URL says all."""
    many(items, 120)
    seen, path, back = [], "/work", []
    while path:
        page = get(items, path)
        seen += ids(page)
        back.append(link(page, "Back"))
        path = link(page, "Next")
    assert [f"w-{place:03}" for place in reversed(range(120))] == seen
    assert 3 == len(back)
    assert (None, "/work") == (back[0], back[1])
    assert "51 to 100 of 120" in words(get(items, back[2]))
    assert 50 == len(ids(get(items, back[2])))


def test_the_other_way_round(items):
    """Oldest first, page by page, by a link; the command says the same."""
    many(items, 60)
    page = get(items, link(get(items, "/work"), "oldest first"))
    assert [f"w-{place:03}" for place in range(50)] == ids(page)
    assert "60 work items, oldest first" in words(page)
    assert "roost list --reverse" in words(page)
    assert [f"w-{place:03}" for place in range(50, 60)] == ids(get(items, link(page, "Next")))
    assert "w-059" == ids(get(items, link(page, "newest first")))[0]


@pytest.mark.parametrize(
    "after", ["x", "created 0 -1", "created x y", "sorted -1", "9" * 99, "%00"]
)
def test_a_cursor_of_nobody(items, after):
    """What somebody has written into the URL is refused, or the first page."""
    items.new("a-1")
    assert items.site.get(f"/work?after={quote(after)}&from=51").status in (200, 400)


def test_tabs_count_exactly(items):
    """All, and each state that there is; a query's own are counted, too."""
    many(items, 7, delay_seconds=60)
    items.new("a-1", labels={"team": "ops"})
    text = words(main(get(items, "/work")))
    assert "All 8" in text
    assert "Queued 1" in text
    assert "Sleeping 7" in text
    assert "Done" not in text
    text = words(main(get(items, "/work?q=label:team+state:queued")))
    assert "All 1 Queued 1" in text


def test_what_is_looked_at_has_a_bound(items, monkeypatch):
    """It says how much was looked at, and looks further; that is not `nothing found`."""
    monkeypatch.setattr(work, "LOOK", 4)
    many(items, 9)
    items.new("z-1", title="needle")  # the newest: it is looked at first
    page = get(items, "/work?q=title:needle")
    assert ["z-1"] == ids(page)
    assert "At least 1: looked at 4 so far." in words(page)
    page = get(items, "/work?q=title:straw")
    assert "Nothing found so far" in words(page)
    assert "No work item is like that" not in words(page)
    further = link(page, "Look further")
    assert "/work?q=title:straw&look=16" == further
    assert "No work item is like that" in words(get(items, further))


def test_what_is_not_there_is_told_apart(items):
    """An empty queue, a query that finds nothing, and a server that is away are three things."""
    text = words(main(get(items, "/work")))
    assert "No work yet" in text
    assert "roost enqueue --engine ENGINE --payload" in text
    items.new("a-1")
    text = words(main(get(items, "/work?q=state:done")))
    assert "No work item is like that" in text
    assert "roost list state:done" in text


def test_an_incomplete_index_is_told(items, monkeypatch):
    """With the remedy."""
    items.new("a-1", labels={"team": "ops"})
    items.roost.run(
        lambda roost: roost.ledger.client.zrem(roost.ledger.keys.key("index"), "e none a-1")
    )
    text = words(main(get(items, "/work?q=label:team")))
    assert "Index incomplete" in text
    assert "roost doctor --repair" in text


def test_the_error_is_reached_from_the_row(items):
    """It stands there on one line, hostile or not, and leads to the whole."""
    items.new("w-1", title=TITLE)
    items.fail(items.claim("w-1"), HOSTILE + " password=hunter2")
    page = get(items, "/work?q=state:failed")
    assert not BARRED.search(main(page))
    assert "hunter2" not in page
    assert '<a class="row-error" href="/work/w-1#errors">' in page
    assert 'id="errors"' in get(items, "/work/w-1")


def test_verbs_of_a_row_fit_its_state(items):
    """A dead letter can be retried and dropped, work that waits cannot."""
    items.new("w-1")
    assert "/act/retry?id=" not in get(items, "/work")
    assert "/act/pause?id=w-1" in get(items, "/work")
    items.roost.work("w-1").bury()
    page = get(items, "/work")
    assert "/act/retry?id=w-1" in page
    assert "/act/pause?id=" not in page


def test_a_page_costs_the_same(items):
    """Of many work items as of a few pages of them: the server does as much for it."""
    calls = []
    for number in (60, 400):
        many(items, number)
        for path in ("/work", "/work?q=state:queued", "/failed", "/events"):
            get(items, path)
        before = items.roost.run(commands)
        for path in ("/work", "/work?q=state:queued", "/failed", "/events"):
            get(items, path)
        calls.append(items.roost.run(commands) - before)
    assert calls[1] <= calls[0] + 20


async def commands(roost):
    """Return how many commands the server has processed."""
    return (await roost.ledger.client.info("stats"))["total_commands_processed"]


async def _now_ms(roost):
    return await roost.server.now_ms()


def test_dead_letters_by_error(items):
    """Each kind of error once, with its number, its traceback, and what to do about it."""
    assert "No dead letters" in words(get(items, "/failed"))
    for number in range(3):
        items.new(f"w-{number}")
        items.fail(items.claim(f"w-{number}"), f"429 for page {number} {HOSTILE}", "a line\nBroken")
    # What fails in the same millisecond has no order.
    began = items.roost.run(_now_ms)
    while items.roost.run(_now_ms) == began:
        pass
    items.new("x-1")
    items.fail(items.claim("x-1"), "no such page")
    page = get(items, "/failed")
    text = words(main(page))
    assert not BARRED.search(main(page))
    assert "4 work items that Roost has given up on, 2 kinds of error" in text
    assert "Preview retry of 3" in text
    assert "Preview retry of 1" in text
    preview = link(page, "Preview retry of 3")
    assert "Retry 3 dead letters?" in words(get(items, preview))
    lists = re.findall(r'<h2[^>]*><a href="([^"]*)"', page)
    assert [["x-1"], ["w-2", "w-1", "w-0"]] == [ids(get(items, unescape(one))) for one in lists]


def test_events_and_filters(items):
    """The newest first, as sentences; a filter says how much was looked at."""
    assert "Nothing has happened yet" in words(get(items, "/events"))
    items.new("w-1", title=TITLE)
    items.new("w-2")
    items.roost.work("w-2").cancel(reason=TITLE)
    page = get(items, "/events")
    assert not BARRED.search(main(page))
    texts = re.findall(r'class="event-text">(.*?)</span>', page)
    assert "cancelled by" in texts[0]
    assert 3 == len(texts)
    page = get(items, "/events?kind=cancelled")
    assert 1 == page.count("data-event=")
    assert "1 of the newest 3 events" in words(page)
    page = get(items, "/events?work=w-1")
    assert 1 == page.count("data-event=")
    assert 'data-live="work:w-1"' in page
    assert "None of these is like that" in words(get(items, "/events?engine=other"))
    assert "Nothing is known of that" in words(get(items, "/events?work=nobody"))
    get(items, "/events?work=%00", status=400)


def test_events_are_bounded(items):
    """However much happens, a page has no more than two hundred."""
    many(items, 300)
    assert 200 == get(items, "/events").count("data-event=")


def test_what_running_work_says(items):
    """Its progress and its message are in the row, with when it said so."""
    items.new("w-1")
    claim = items.claim("w-1")
    items.beat(claim, Heartbeat(0.25, f"page 3 of 12 {HOSTILE}", claim.lease.expires_at))
    page = get(items, "/work")
    assert not BARRED.search(main(page))
    assert 'value="0.25"' in page
    assert "page 3 of 12" in words(page)


def test_artifacts_of_the_latest_work(items, monkeypatch):
    """Those that snapshots name, with a look and the file; a large snapshot is not read."""
    assert "Nothing is produced yet" in words(get(items, "/artifacts"))
    items.new("w-1", title=TITLE)
    items.new("w-2")
    items.new("w-3")
    assert "Nothing is produced yet" in words(get(items, "/artifacts"))
    claims = [items.claim("w-1")]
    page = get(items, "/artifacts")
    assert "None of the 3 work items that were asked names one." in words(page)
    report = items.artifact("w-1", b"<script>alert(1)</script>", name="report.html", ext="html")
    items.step(claims[0], {}, [report], done=True)
    page = get(items, "/artifacts")
    assert not BARRED.search(main(page))
    assert ["w-1"] == ids(page)
    assert "report.html" in words(page)
    look = re.search(r'hx-get="([^"]*)" hx-trigger="toggle', page)[1]
    assert "&lt;script&gt;" in get(items, look)
    assert ["w-1"] == ids(get(items, "/artifacts?q=id:w-1"))
    assert [] == ids(get(items, "/artifacts?q=id:w-2"))
    assert "did you mean state?" in words(get(items, "/artifacts?q=stat:done", status=400))
    monkeypatch.setattr(artifacts, "MOST_BYTES", 10)
    assert "so it was not read here" in words(get(items, "/artifacts"))
