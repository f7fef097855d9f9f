"""Verbs on many work items over real HTTP: seen first, then done in the background."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from urllib.parse import urlencode

import pytest

from roost_core import SyncRoost
from roost_core.client.control import Controlling
from roost_core.client.requests import EnqueueRequest
from roost_plugins.console.acting import runs
from tests.consoles import console_here, plugins_of
from tests.integration.cli_bench import until
from tests.integration.item_bench import Items, items_on, main, words
from tests.integration.redis_bench import settings_for


@pytest.fixture
def settings(redis_server, tmp_path):
    """Give the settings of a queue."""
    return settings_for(redis_server, home=tmp_path)


@pytest.fixture
def items(settings):
    """Give a console and a queue."""
    with items_on(settings) as found:
        yield found


def many(items, number):
    """Enqueue many that wait."""
    requests = [
        EnqueueRequest(engine="none", work_id=f"w-{place:04}", delay_seconds=600)
        for place in range(number)
    ]
    items.roost.enqueue_many(requests, any_engine=True)


def preview(items, path):
    """Look, and return the page and the fields of its form."""
    found = items.site.get(path)
    assert 200 == found.status, found.text
    fields = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', found.text)
    return found.text, [(name, unescape(value)) for name, value in fields]


def act(items, verb, fields, **more):
    """Send the form; return where that leads to."""
    found = items.site.post(f"/act/{verb}", urlencode([*fields, *more.items()]).encode())
    assert 303 == found.status, words(main(found.text))
    return found.headers["location"].removeprefix(items.site.origin)


def ended(items, path):
    """Wait until it is no longer under way; return the page."""
    until(lambda: "data-poll" not in items.site.get(path).text, "the end of it")
    return words(main(items.site.get(path).text))


def states(items):
    """Return how many there are in each state that there is."""
    return {str(state): count for state, count in items.roost.counts().items() if count}


def test_a_query_is_seen_and_done(items):
    """Grouped by state and error, with what is left out; then done, with a reason."""
    for number in range(3):
        items.new(f"w-{number}")
        items.fail(items.claim(f"w-{number}"), f"429 for page {number}")
    items.new("w-9")
    page, fields = preview(items, "/act/retry?q=id:w-*")
    text = words(main(page))
    assert "Retry 3 dead letters?" in text
    assert "Broken: 429 for page" in text
    assert "Left out: 1 queued: nothing to retry." in text
    assert "roost retry 'id:w-*'" in text
    assert {"failed": 3, "queued": 1} == states(items)
    text = ended(items, act(items, "retry", fields, reason="the limit is gone"))
    assert "Retried 3 of 3." in text
    assert "roost retry 'id:w-*' --reason 'the limit is gone'" in text
    assert {"queued": 4} == states(items)
    act_of = items.roost.work("w-1").row().meta.act
    assert ("console", "the limit is gone") == (act_of.actor.tool, act_of.actor.reason)


def test_selected_ones(items):
    """By ids; one that is gone is told, and one that was given twice counts once."""
    many(items, 3)
    page, fields = preview(items, "/act/cancel?id=w-0001&id=w-0002&id=w-0001&id=gone")
    text = words(main(page))
    assert "Cancel 2 sleeping work items?" in text
    assert "1 selected is gone: gone" in text
    assert "cancelled 2 of 2" in ended(items, act(items, "cancel", fields)).lower()
    assert {"sleeping": 1, "cancelled": 2} == states(items)


def test_twice_is_once(items):
    """A double click, or the form sent again, does nothing more."""
    many(items, 2)
    _, fields = preview(items, "/act/cancel?q=id:w-*")
    first, second = act(items, "cancel", fields), act(items, "cancel", fields)
    assert first == second
    ended(items, first)
    for result in items.roost.select("id:w-*").retry().values():
        assert "done" == result.outcome
    act(items, "cancel", fields)
    assert {"queued": 2} == states(items)


def test_what_is_sent_late_does_not_rewrite_what_was_done(items):
    """The command on the page is the one that was carried out."""
    many(items, 2)
    _, fields = preview(items, "/act/cancel?q=id:w-*")
    first = act(items, "cancel", [*fields, ("reason", "the first")])
    ended(items, first)
    act(items, "cancel", [*fields, ("reason", "the second")])
    text = ended(items, first)
    assert (True, False) == ("the first" in text, "the second" in text)


def test_what_has_changed_is_left_alone(items):
    """It is counted, and can be looked at again."""
    many(items, 4)
    _, fields = preview(items, "/act/cancel?q=id:w-*")
    items.roost.work("w-0001").pause()
    text = ended(items, act(items, "cancel", fields))
    assert "3 done" in text
    assert "1 left alone: changed meanwhile" in text
    assert "Look again" in text
    assert {"cancelled": 3, "paused": 1} == states(items)


def test_many_are_confirmed_by_their_number(items):
    """What ends a hundred or more needs the number; without it nothing is done."""
    many(items, 120)
    page, fields = preview(items, "/act/cancel?q=id:w-*")
    assert "type how many: 120" in words(page)
    for number in ("", "12", "all"):
        data = urlencode([*fields, ("number", number), ("reason", "kept")]).encode()
        found = items.site.post("/act/cancel", data)
        assert 400 == found.status
        assert "nothing was done yet" in words(found.text)
        assert 'value="kept"' in found.text
    assert {"sleeping": 120} == states(items)
    assert "120 of 120" in ended(items, act(items, "cancel", fields, number="120"))


@pytest.mark.parametrize(
    ("field", "text", "problem"),
    [
        ("over", "soon", "The time to spread over"),
        ("delay", "-1", "delay_seconds"),
        ("attempts", "x", "is not a whole number"),
        ("deadline", "yesterday", "The deadline"),
        ("reason", "x" * 300, "reason"),
    ],
)
def test_a_wrong_option(items, field, text, problem):
    """It is named, what was typed stays, nothing is done; mended, it is."""
    items.new("w-1")
    items.roost.work("w-1").bury()
    _, fields = preview(items, "/act/retry?q=id:w-1")
    found = items.site.post("/act/retry", urlencode([*fields, (field, text)]).encode())
    assert 400 == found.status
    assert problem in words(main(found.text))
    assert f'value="{text}"' in found.text
    assert {"failed": 1} == states(items)
    assert "Retried 1 of 1." in ended(items, act(items, "retry", fields))


def test_options_of_a_retry(items):
    """Spread over a time, with limits of their own."""
    for number in range(2):
        items.new(f"w-{number}")
    items.roost.select("id:w-*").bury()
    _, fields = preview(items, "/act/retry?q=id:w-*")
    more = {"over": "10m", "delay": "1h", "attempts": "9", "max_steps": "77"}
    text = ended(items, act(items, "retry", fields, **more))
    assert "--over 10m --attempts 9 --delay-seconds 1h --max-steps 77" in text
    metas = [items.roost.work(f"w-{number}").row().meta for number in range(2)]
    assert [(9, 77), (9, 77)] == [(one.max_attempts, one.max_steps) for one in metas]
    apart = abs((metas[0].due_at - metas[1].due_at).total_seconds())
    assert 290 < apart < 310


def test_what_was_seen_too_long_ago(items, monkeypatch):
    """Nothing is done; the reader sees it as it is now."""
    many(items, 2)
    _, fields = preview(items, "/act/cancel?q=id:w-*")
    monkeypatch.setattr(runs, "SEEN_FOR", -1.0)
    path = act(items, "cancel", fields)
    monkeypatch.undo()
    page, fields = preview(items, path)
    assert "Nothing was done: what you saw is too long ago." in words(page)
    assert {"sleeping": 2} == states(items)
    assert "2 of 2" in ended(items, act(items, "cancel", fields))
    assert 404 == items.site.get("/act/run/nobody").status


def test_previews_are_few(items):
    """However many are asked for, only the newest are kept."""
    many(items, 1)
    keys = []
    for _ in range(runs.MOST_SEEN + 3):
        _, fields = preview(items, "/act/cancel?q=id:w-*")
        keys.append(dict(fields)["key"])
    found = [items.site.get(f"/act/run/{key}").status for key in keys]
    assert [404] * 3 + [200] * runs.MOST_SEEN == found


@pytest.fixture
def slowly(monkeypatch):
    """Let each verb take a moment."""
    carry_out = Controlling.carry_out

    async def slow(self, work_id, order):
        await asyncio.sleep(0.2)
        return await carry_out(self, work_id, order)

    monkeypatch.setattr(Controlling, "carry_out", slow)


def test_it_can_be_ended(items, slowly):
    """What is done stays done; the rest is told, and can be continued."""
    many(items, 90)
    _, fields = preview(items, "/act/pause?q=id:w-*")
    path = act(items, "pause", fields)
    until(lambda: "paused" in states(items), "the first")
    assert "data-poll" in items.site.get(path).text
    key = dict(fields)["key"]
    assert 303 == items.site.post(f"/act/run/{key}/cancel").status
    text = ended(items, path)
    assert "ended before all was done" in text
    assert "not tried" in text
    assert 90 > states(items)["paused"]
    page, fields = preview(items, "/act/pause?q=id:w-*")
    assert "nothing to pause" in words(page).lower()
    ended(items, act(items, "pause", fields))
    assert {"paused": 90} == states(items)


def test_the_console_ends_meanwhile(settings, slowly, caplog):
    """It says what was not done, and how to continue."""
    with SyncRoost.connect(settings, plugins=plugins_of()) as roost:
        with console_here(settings) as site:
            items = Items(site.sign_in(), roost)
            many(items, 90)
            _, fields = preview(items, "/act/pause?q=id:w-*")
            act(items, "pause", fields)
            until(lambda: "paused" in states(items), "the first")
        (line,) = [one.getMessage() for one in caplog.records if "ends" in one.getMessage()]
        assert re.search(r"the console ends: paused \d+ of 90.*, \d+ not tried", line)
        assert line.endswith("`roost pause 'id:w-*'` continues with the rest")
        assert 90 > states(items)["paused"]


def test_what_cannot_be_meant(items):
    """No verb, nothing selected, a wrong query: refused, with what to do."""
    for path, text in (
        ("/act/explode?q=id:a", "There is no verb"),
        ("/act/retry", "Nothing is selected"),
        ("/act/retry?q=", "older:0s means all work"),
        ("/act/retry?q=stat:failed", "did you mean state?"),
        ("/act/retry?id=%2F..", "is no work id"),
        ("/act/retry?q=id:a&id=b", "not both"),
        ("/act/retry?" + "&".join(f"id=a{n}" for n in range(501)), "use a query"),
    ):
        found = items.site.get(path)
        assert (path, 400) == (path, found.status)
        assert text in words(found.text)


def test_looking_changes_nothing(items):
    """By GET there is only a preview; a POST from elsewhere is refused."""
    many(items, 2)
    _, fields = preview(items, "/act/drop?q=id:w-*")
    _, fields = preview(items, "/act/cancel?q=id:w-*")
    data = urlencode(fields).encode()
    assert 403 == items.site.post("/act/cancel", data, Origin="http://evil.example").status
    assert {"sleeping": 2} == states(items)


def test_read_only(settings):
    """The preview shows the command, and no form."""
    with items_on(settings, read_only=True) as items:
        many(items, 2)
        page, fields = preview(items, "/act/cancel?q=id:w-*")
        assert [] == fields
        assert "roost cancel 'id:w-*'" in words(page)
        assert 403 == items.site.post("/act/cancel", b"key=x").status
