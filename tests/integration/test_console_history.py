"""The versions of a work item over HTTP: their list, how two differ, and each as it was."""

from __future__ import annotations

import re

import pytest

from roost_core.codec.strict_json import dumps
from tests.integration.item_bench import items_on, main, words
from tests.integration.redis_bench import settings_for
from tests.integration.test_console_item import BARRED, HOSTILE


@pytest.fixture
def items(redis_server, tmp_path):
    """Give a console and a queue."""
    with items_on(settings_for(redis_server, home=tmp_path)) as found:
        yield found


def agent(items, work_id="w-1", *more):
    """Make work of three versions, and what is given besides; return its lease."""
    items.new(work_id)
    claim = items.claim(work_id)
    for data in (
        {"goal": "compare", "plan": ["search", "read"], "api_key": "hunter1"},
        {"goal": "compare", "plan": ["search", "ask", "read"], "api_key": "hunter2"},
        {"goal": "book", "plan": ["search", "ask", "read"], "api_key": "hunter2"},
        *more,
    ):
        items.step(claim, data)
    return claim


def seen(items, path, status=200):
    """Return the words of a page."""
    found = items.site.get(path)
    assert status == found.status, found.text
    return words(main(found.text).partition(">")[2])


def part(items, path):
    """Return a part of a page, as htmx fetches it."""
    found = items.site.get(path, HX_Request="true")
    assert 200 == found.status
    assert "<main" not in found.text
    return found.text


def test_the_page_does_not_read_it(items):
    """It is fetched when it is opened."""
    agent(items)
    page = main(items.page("w-1"))
    assert 'data-history-of="3"' in page
    assert 'id="row-v3"' not in page
    assert 'id="row-v3"' in part(items, "/work/w-1/history")


def test_each_version(items):
    """What it changed, how it was, and a replay from there; a step that changed nothing."""
    claim = agent(items)
    items.step(claim, {"goal": "book", "plan": ["search", "ask", "read"], "api_key": "hunter2"})
    text = part(items, "/work/w-1/history")
    assert ["v4", "v3", "v2", "v1"] == re.findall(r'id="row-(v\d)"', text)
    assert "v4 read now worker-1 0 ms nothing" in words(text)
    for path in ("diff?from=3&amp;to=4", "version/4", "replay?from=4"):
        assert f'href="/work/w-1/{path}"' in text
    assert "from=0" not in text


def test_nothing_yet(items):
    """There is a word for it on each page, and none of them breaks."""
    items.new("w-1")
    assert "No step was accepted yet" in seen(items, "/work/w-1/history")
    assert "no version yet" in seen(items, "/work/w-1/version/1", 404)
    text = seen(items, "/work/w-1/diff", 404)
    assert "No version of w-1 yet" in text
    assert "No step was accepted yet" in text
    assert not re.search("version 0|-1|Compare", text.partition("Keys")[0].replace("w-1", ""))
    seen(items, "/work/w-1/replay")


def test_messages_are_sentences(items):
    """Whatever the command line makes of them; an id stays as it is."""
    settings = items.roost.settings
    claim = agent(items)
    for n in range(2 * settings.history_versions):
        items.step(claim, {"n": n})
    assert "Version 1 of w-1 is not kept any more" in seen(items, "/work/w-1/version/1", 404)
    assert "w-1 has no version 999" in seen(items, "/work/w-1/version/999", 404)
    text = seen(items, "/work/none/history", 404)
    assert "No work item 'none' in the queue 'default'." in text
    text = seen(items, "/nothing", 404)
    assert "This console has no page with this address." in text
    assert "spelling" not in text


def test_a_thousand_versions(items):
    """A part of them, then more: all that there are are never in the page of the work item."""
    settings = items.roost.settings
    assert 50 == settings.history_versions
    claim = agent(items)
    for n in range(80):
        items.step(claim, {"n": n})
    text = part(items, "/work/w-1/history")
    assert 50 == text.count('id="row-v')
    assert "not listed" in words(text)
    assert "rows=200" in text
    more = part(items, "/work/w-1/history?rows=200")
    assert more.count('id="row-v') >= 50
    for odd in ("x", "-1", "9" * 30, ""):
        assert 50 == part(items, f"/work/w-1/history?rows={odd}").count('id="row-v')


def test_a_difference(items):
    """Inserted is told from replaced, secrets are hidden, and the command is there."""
    agent(items)
    text = seen(items, "/work/w-1/diff?from=1&to=3")
    assert 'inserted /plan/1 after "ask"' in text
    assert 'changed /goal before "compare" → after "book"' in text
    assert "it looks like a secret" in text
    assert "hunter" not in text
    assert "roost diff w-1 1 3" in text
    backwards = seen(items, "/work/w-1/diff?from=3&to=1")
    assert "Backwards: version 3 is the later one." in backwards
    assert 'taken out /plan/1 before "ask"' in backwards
    assert "What version 3 of w-1 changed" in seen(items, "/work/w-1/diff")
    assert "the same version twice" in seen(items, "/work/w-1/diff?from=2&to=v2")


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ("from=7&to=9", 404, "has no version 7: the newest is 3. Versions 1 to 3 can be read."),
        ("from=x", 400, "'x' is no version: give its number. Versions 1 to 3 can be read."),
        ("from=0&to=1", 400, "is no version"),
        ("from=1&to=" + "9" * 40, 400, "is no version"),
        ("to=1", 404, "no version before its first"),
    ],
)
def test_versions_that_cannot_be_compared(items, asked, status, said):
    """One line says which can be read; the form is still there."""
    agent(items)
    text = seen(items, f"/work/w-1/diff?{asked}", status)
    assert said in text
    assert "Compare" in text


def test_a_version_as_it_was(items):
    """Its own tree, branch by branch; what looks like a secret is hidden."""
    agent(items, "w-1", {"rows": list(range(500))}, {"n": 1})
    text = seen(items, "/work/w-1/version/1")
    assert 'goal : "compare"' in text
    assert "hunter" not in text
    assert "roost status w-1 --version 1" in text
    page = items.site.get("/work/w-1/version/4").text
    branch = re.search(r'hx-get="(/work/w-1/snapshot/[^"]*at=/rows[^"]*)"', page)
    assert branch is not None
    url = branch[1].replace("&amp;", "&")
    assert "499" in part(items, url.replace("start=100", "start=400"))
    assert "has no version 9" in seen(items, "/work/w-1/version/9", 404)


def test_a_damaged_version(items):
    """What can be read is listed, and what cannot has its reason."""
    agent(items)
    items.poke("w-1 snapshot", b'{"broken')
    assert "does not decode" in seen(items, "/work/w-1/history")
    text = seen(items, "/work/w-1/diff?from=1&to=3", 409)
    assert "Version 3 of w-1" in text
    assert "can be read" in text
    seen(items, "/work/w-1/version/3", 409)
    seen(items, "/work/w-1/replay?from=1")


def test_a_fork_and_its_origin(items):
    """Each names the other beside the version, also when that is gone."""
    claim = agent(items)
    items.roost.work("w-1").replay(2, work_id="w-2", reason="wrong turn")
    assert "fork w-2" in seen(items, "/work/w-1/history")
    text = seen(items, "/work/w-2/history")
    # Beside the step for a telephone, and in a column of its own.
    assert re.search(r"v3 read (\S+) now \1 by hand", text)
    assert "From version 2 down it has the history of w-1, from which it was forked." in re.sub(
        r" ([,.])", r"\1", text
    )
    items.step(claim, {}, done=True)
    items.roost.work("w-1").drop()
    assert "and which is gone" in seen(items, "/work/w-2/history")
    assert 'href="/work/w-1"' not in part(items, "/work/w-2/history")


def test_about_a_fork_whose_origin_is_gone(items):
    """And about an origin whose fork is: no link leads to what is not there."""
    claim = agent(items)
    items.roost.work("w-1").replay(2, work_id="w-2")
    assert 'href="/work/w-1"' in items.page("w-2")
    assert 'href="/work/w-2"' in items.page("w-1")
    items.step(claim, {}, done=True)
    items.roost.work("w-1").drop()
    assert "w-1 (gone) version 2" in words(main(items.page("w-2")))
    assert 'href="/work/w-1"' not in items.page("w-2")
    items.roost.work("w-2").replay(2, work_id="w-3")
    items.fail(items.claim("w-3"), "broken")
    items.roost.work("w-3").drop()
    assert "w-3 (gone) version 2," in words(main(items.page("w-2")))
    assert 'href="/work/w-3"' not in items.page("w-2")


def test_the_version_of_an_error(items):
    """That which the work was at, as its event and the command line say."""
    claim = agent(items)
    items.fail(claim, "429")
    page = words(main(items.page("w-1")))
    assert "v3" in page.partition("Errors")[2].partition("Snapshot")[0]
    assert "v4" not in page.partition("Errors")[2]


def test_hostile_versions(items):
    """Keys, labels, values and reasons are texts, whatever they are."""
    items.new("w-1")
    claim = items.claim("w-1")
    items.step(claim, {HOSTILE: HOSTILE, "list": [HOSTILE]})
    items.step(claim, {f"{HOSTILE}/~": HOSTILE * 400, "list": [HOSTILE, f"{HOSTILE}!"]})
    for path in (
        "history", "diff", "diff?from=1&to=2", "version/1", "version/2", "replay?from=1",
        "diff?from=%3Cscript%3Ealert(1)", "replay?from=%3Cscript%3Ealert(1)",
    ):  # fmt: skip
        found = items.site.get(f"/work/w-1/{path}")
        assert found.status in (200, 400), path
        assert not BARRED.search(found.text), path


def test_steps_lead_to_what_they_changed(items):
    """In the picture of its life; those that are drawn as one do not."""
    agent(items)
    page = main(items.page("w-1"))
    assert set(
        re.findall(r'<a href="/work/w-1/(?:diff\?to=|version/)(\d)" tabindex="-1">', page)
    ) <= set("123")


def test_a_stalled_agent_in_the_overview(items):
    """Since when nothing is new; one click leads to what differs, and to its history."""
    claim = agent(items)
    for _ in range(30):
        items.step(claim, {"goal": "book"})
    warning = {"warning": "x", "steps": 30, "since_version": 4}
    items.step(claim, {"goal": "book"}, events=[dumps(warning, "the event", 4096)])
    text = seen(items, "/")
    assert "nothing new since version 4" in text
    page = items.site.get("/").text
    assert 'href="/work/w-1/diff?from=4&amp;to=34"' in page
    assert 'href="/work/w-1#history"' in page
    assert "The data is the same" in seen(items, "/work/w-1/diff?from=4&to=34")
    (odd,) = (one for one in items.site.get("/api/v1/overview").json["odd"] if one["work_id"])
    assert (4, 34) == (odd["since_version"], odd["version"])


def test_read_only(redis_server, tmp_path):
    """All can be looked at; nothing leads to a replay."""
    with items_on(settings_for(redis_server, home=tmp_path), read_only=True) as items:
        agent(items)
        for path in ("history", "diff", "version/1"):
            found = items.site.get(f"/work/w-1/{path}")
            assert 200 == found.status
            assert "/replay" not in found.text
        page = seen(items, "/work/w-1/replay?from=2")
        assert "roost replay w-1 --from-version 2 --dry-run" in page
        assert 403 == items.site.post("/work/w-1/replay", b"version=2&do=start").status


@pytest.mark.parametrize("record", [b"broken", b"99 queued none something new"])
def test_a_record_that_cannot_be_read(items, record):
    """Damaged, or of a newer Roost: each page says it in a line, and none is a fault."""
    agent(items)
    items.poke("w-1", record)
    for path in ("history", "version/1", "diff", "replay", "replay?from=1"):
        found = items.site.get(f"/work/w-1/{path}")
        assert 409 == found.status, (path, found.text)
        assert re.search("does not decode|a newer Roost wrote", words(main(found.text))), path
    assert 409 == items.site.post("/work/w-1/replay", b"version=1&do=start&how=fork").status
    assert "No step was accepted yet" not in words(main(items.page("w-1")))
