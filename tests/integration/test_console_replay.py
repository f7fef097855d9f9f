"""Work that is run again from a version, as the console's form does it, and attacks on it."""

from __future__ import annotations

import json
import re
import threading
from html import unescape
from urllib.parse import urlencode

import pytest

from roost_core.errors import BackendUnavailable
from tests.integration.item_bench import items_on, main, words
from tests.integration.redis_bench import settings_for
from tests.integration.test_console_history import agent

PATH = "/work/w-1/replay"


@pytest.fixture
def items(redis_server, tmp_path):
    """Give a console and a queue."""
    with items_on(settings_for(redis_server, home=tmp_path)) as found:
        yield found


def send(items, form, path=PATH, **headers):
    """Send the form, and follow to what it comes to, as a browser does."""
    found = items.site.post(path, urlencode(form).encode(), **headers)
    to = found.headers.get("location", "").removeprefix(items.site.origin)
    if found.status == 303 and to.startswith(f"{path}?look="):
        return items.site.get(to)
    return found


def form_of(page, **typed):
    """Return what a browser would send: what is hidden in the form, and what is typed."""
    form = re.search(r'<form class="replay-form".*?</form>', page, re.DOTALL)
    assert form is not None, page
    fields = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form[0])
    return {name: unescape(text) for name, text in fields} | typed


def looked(items, path=PATH, **typed):
    """Look what it would come to; return the page, and the form that begins it."""
    typed = {"version": "2", "how": "fork", "do": "preview", **typed}
    found = send(items, form_of(items.site.get(path).text, **typed), path)
    assert 200 == found.status, words(main(found.text))
    return words(main(found.text)), form_of(found.text, **{**typed, "do": "start"})


def ended(items):
    """Make work of three versions that has ended, so that it can be put back."""
    claim = agent(items)
    items.fail(claim, "429")


def versions(items, work_id="w-1"):
    """Return which versions work has."""
    return [one.version for one in items.roost.work(work_id).history()]


def test_a_look_changes_nothing(items):
    """It shows what the edit changes, what ran since, the cost and the command."""
    agent(items)
    text, _ = looked(items, lines="goal=rest\napi_key=hunter9", reason="wrong turn")
    for part in (
        'changed /goal before "compare" → after "rest"',
        "it looks like a secret",
        "1 step since version 2",
        "v3 read",
        "New work begins with version 2, as its version 3",
        "roost replay w-1 --from-version 2 -e goal=rest -e api_key=hunter9 --reason 'wrong turn'",
    ):
        assert part in text
    assert ([3, 2, 1], ()) == (versions(items), items.roost.work("w-1").status().forks)


def test_a_look_says_what_is_not_remembered(items):
    """Steps of which nothing is kept may have done something outside, too; people ran none."""
    ended(items)
    items.roost.work("w-1").replay(2, in_place=True)

    async def forget(roost):
        await roost.ledger.client.hdel(roost.ledger.keys.key("work"), "w-1 v3")

    items.roost.run(forget)
    text, _ = looked(items, version="1")
    assert "1 step since version 1" in text
    assert "may happen again: v2 read . Version 3 is not remembered: what its step did" in text
    text, _ = looked(items, version="4")
    assert "Nothing: no step was accepted after version 4" in text
    head = {"Authorization": f"Bearer {items.site.token}", "Content_Type": "application/json"}
    found = items.site.ask("POST", f"/api/v1{PATH}/plan", b'{"version": 1}', **head).json
    assert [2] == [one["version"] for one in found["ran_before"]]
    assert [{"first": 3, "last": 3}] == found["not_remembered"]


def test_a_fork_begins_once(items):
    """A second click, and the form sent again once the fork has run."""
    agent(items)
    _, form = looked(items, lines="goal=rest", reason="wrong turn")
    replies = []
    clicks = [threading.Thread(target=lambda: replies.append(send(items, form))) for _ in range(4)]
    for one in clicks:
        one.start()
    for one in clicks:
        one.join()
    fork = items.roost.work("w-1").status().forks[0].work_id
    claim = items.claim(fork)
    items.step(claim, {"goal": "rest", "n": 1})
    replies.append(send(items, form))
    assert {303} == {one.status for one in replies}
    assert {f"/work/{fork}"} == {
        one.headers["location"].partition("?")[0].removeprefix(items.site.origin) for one in replies
    }
    assert f"{fork} has begun with version 2 of w-1, as version 3" in items.told(replies[0])
    assert [fork] == [one.work_id for one in items.roost.work("w-1").status().forks]
    assert ("rest", 4) == (
        items.roost.work(fork).snapshot_at(3).data["goal"],
        versions(items, fork)[0],
    )
    assert "wrong turn" in json.dumps([one.data for one in items.roost.work(fork).events()])


def test_another_look_begins_another_one(items):
    """As after the browser has gone back: each edit that was looked at begins once."""
    agent(items)
    _, form = looked(items, lines="goal=rest")
    assert 303 == send(items, form).status
    found = send(items, {**form, "lines": "goal=fly", "do": "preview"})
    again = {**form, **form_of(found.text), "lines": "goal=fly"}
    assert 303 == send(items, again).status
    forks = [one.work_id for one in items.roost.work("w-1").status().forks]
    assert ["fly", "rest"] == [items.roost.work(one).snapshot().data["goal"] for one in forks]


def test_in_place_counts_once(items):
    """Also if it has been run again meanwhile."""
    ended(items)
    text, form = looked(items, how="in-place", lines="goal=rest")
    assert "Version 2 becomes version 4" in text
    assert "w-1: put back to version 2, as version 4: it is queued" == items.told(send(items, form))
    assert "as version 4" in items.told(send(items, form))
    claim = items.claim("w-1")
    items.step(claim, {"goal": "rest", "n": 1}, done=True)
    assert "as version 4" in items.told(send(items, form))
    assert ([5, 4, 3, 2, 1], "done") == (versions(items), items.roost.work("w-1").row().meta.state)


def test_what_has_changed_since_is_not_put_back(items):
    """It is said, nothing is done, and the page shows what it comes to now."""
    ended(items)
    _, form = looked(items, how="in-place")
    items.roost.work("w-1").retry()
    items.step(items.claim("w-1"), {"goal": "else"}, done=True)
    found = send(items, form)
    assert 409 == found.status
    text = words(main(found.text))
    assert (
        "Nothing was begun: w-1 has changed since. It was at version 3, and is at version 4" in text
    )
    assert "Version 2 becomes version 5" in text
    again = form_of(found.text, **{**form, **form_of(found.text)})
    assert "as version 5" in items.told(send(items, again))


def test_what_was_typed_since_is_not_begun(items):
    """What begins is what was seen."""
    agent(items)
    _, form = looked(items, lines="goal=rest")
    for changed in ({"lines": "goal=fly"}, {"version": "1"}, {"new_id": "w-9"}, {"stamp": ""}):
        found = send(items, {**form, **changed})
        assert 200 == found.status
        assert "Nothing was begun: what you typed has changed" in words(main(found.text))
    assert () == items.roost.work("w-1").status().forks


def test_a_fork_of_work_that_ended_since(items):
    """Its newest version was another; that of work that runs moves on, and is no matter."""
    claim = agent(items)
    _, form = looked(items)
    items.step(claim, {"n": 4})
    assert 303 == send(items, form).status
    items.fail(claim, "429")
    _, form = looked(items)
    items.roost.work("w-1").retry()
    items.step(items.claim("w-1"), {"n": 5}, done=True)
    found = send(items, form)
    assert "has changed since" in words(main(found.text))
    assert 1 == len(items.roost.work("w-1").status().forks)


def test_in_place_does_not_fit_what_runs(items):
    """The choice is off and says why; sent nevertheless it shows that, and nothing begins."""
    agent(items)
    page = items.site.get(PATH).text
    assert re.search(r'value="in-place"[^>]* disabled', page)
    assert "<code>roost pause w-1</code> first" in page
    text, form = looked(items, how="in-place")
    assert "only work that is not can be put back" in text
    assert "stamp" not in form or not form["stamp"]
    assert [3, 2, 1] == versions(items)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"lines": "goal"}, "is no assignment: write path=value"),
        ({"lines": "/x/y=1"}, "has no 'x'"),
        ({"patch": "{not json"}, "The patch is not JSON"),
        ({"patch": '[{"op": "replace", "path": "", "value": []}]'}, "stay an object"),
        ({"patch": "[" * 70_000}, "nests deeper than 64"),
        ({"patch": "x" * 300_000}, "and a page takes 262,144"),
        ({"lines": "goal=" + "[" * 100 + "]" * 100}, "nests deeper than 64"),
        ({"version": "9"}, "has no version 9"),
        ({"version": "x"}, "is no version"),
        ({"new_id": "../../etc"}, "is no id"),
        ({"reason": "a\x1bb"}, "printable"),
    ],
)
def test_what_cannot_be(items, typed, said):
    """One line beside the field, and nothing that was typed is lost."""
    agent(items)
    fields = {"version": "2", "how": "fork", "lines": "a=1", "reason": "kept", **typed}
    page = items.site.get(PATH).text
    found = send(items, form_of(page, **fields, do="preview"))
    if "reason" in typed:
        form = form_of(found.text, **fields, do="start")
        found = send(items, form)
    assert 400 == found.status
    assert said in unescape(found.text)
    for name, text in fields.items():
        if name != "how" and len(text) < 200 and text.isprintable():
            assert text in unescape(found.text), name
    assert len(found.text) < 2_000_000
    assert () == items.roost.work("w-1").status().forks


def test_an_id_that_is_taken(items):
    """The preview says it, and has no button; nothing is stored if it is taken since."""
    agent(items)
    _, form = looked(items, new_id="w-2")
    items.new("w-2")
    text, other = looked(items, new_id="w-2")
    assert "the id w-2 is taken: choose another one, or leave the field empty" in text.lower()
    assert ("", False) == (other["stamp"], "Start the fork" in text)
    found = send(items, form)
    assert (409, True) == (found.status, "leave the field empty" in found.text)


def test_a_deadline_that_has_passed(items, monkeypatch):
    """In place it needs a new one."""
    items.new("w-1", deadline_seconds=0.3)
    claim = items.claim("w-1")
    items.step(claim, {"n": 1})
    items.step(claim, {"n": 2})
    items.fail(claim, "429")
    deadline = items.roost.work("w-1").row().meta.deadline_at
    while items.roost.run(lambda roost: roost.server.now_ms()) <= deadline.timestamp() * 1000:
        pass
    page = items.site.get(PATH).text
    assert "it has passed" in page
    fields = {"version": "1", "how": "in-place", "do": "preview"}
    found = send(items, form_of(page, **fields))
    assert (400, True) == (found.status, "Its deadline has passed: give a new one" in found.text)
    _, form = looked(items, version="1", how="in-place", deadline="2h")
    assert 303 == send(items, form).status


def test_no_answer(items, monkeypatch):
    """It is not known whether it has begun; the same form, sent again, counts once."""
    agent(items)
    _, form = looked(items, lines="goal=rest")

    async def lost(*_args, **_more):
        raise BackendUnavailable("the server does not answer")

    with monkeypatch.context() as patch:
        patch.setattr("roost_core.client.replaying.fork", lost)
        found = send(items, form)
    assert (503, True) == (found.status, "it counts once" in found.text)
    assert form["request"] == form_of(found.text)["request"]
    assert 303 == send(items, {**form, **form_of(found.text)}).status
    assert 1 == len(items.roost.work("w-1").status().forks)


def test_patch_bombs(items):
    """Copies of copies end at the size of a snapshot, and the console continues."""
    agent(items, "w-1", {"a": ["x" * 1000]})
    copies = [{"op": "copy", "from": "/a", "path": "/a/-"} for _ in range(40)]
    page = items.site.get(PATH).text
    bomb = json.dumps(copies)
    found = send(items, form_of(page, version="4", how="fork", patch=bomb, do="preview"))
    assert 400 == found.status
    assert 200 == items.site.get("/work/w-1").status


def test_strangers_are_refused(items):
    """No origin, a foreign one, no cookie, a form of another kind: nothing begins."""
    agent(items)
    _, form = looked(items)
    for headers, status in (
        ({"Origin": None}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Cookie": None}, 401),
        ({"Cookie": "roost=x"}, 401),
    ):
        assert status == send(items, form, **headers).status, headers
    assert 400 == items.site.post(PATH, json.dumps(form).encode(), Content_Type="text/plain").status
    assert () == items.roost.work("w-1").status().forks
    assert [3, 2, 1] == versions(items)


def test_no_link_begins_it(items):
    """A GET with all of the form is a form."""
    agent(items)
    _, form = looked(items)
    assert 200 == items.site.get(f"{PATH}?{urlencode(form)}").status
    assert () == items.roost.work("w-1").status().forks


def test_work_that_is_gone(items):
    """As for each page of it."""
    assert 404 == items.site.get("/work/none/replay").status
    assert 404 == send(items, {"version": "1"}, "/work/none/replay").status


def test_the_api_does_the_same(items):
    """A look first; then what it saw is what may be put back, once."""
    ended(items)
    token = {"Authorization": f"Bearer {items.site.token}", "Content_Type": "application/json"}

    def post(path, body, **more):
        return items.site.ask("POST", f"/api/v1{path}", json.dumps(body).encode(), **token, **more)

    patch = [{"op": "replace", "path": "/goal", "value": "rest"}]
    seen = post(f"{PATH}/plan", {"version": 2, "patch": patch}).json
    assert [("/goal", "compare", "rest")] == [
        (one["path"], one["old"], one["new"]) for one in seen["differences"]
    ]
    assert ([3], 3) == ([one["version"] for one in seen["ran_before"]], seen["newest_version"])
    body = {"version": 2, "patch": patch, "in_place": True}
    body |= {"if_version": seen["newest_version"], "if_fence": seen["fence"]}
    assert 409 == post(PATH, {**body, "if_version": 2}).status
    assert 409 == post(PATH, {**body, "if_fence": 99}).status
    found = [post(PATH, body, Idempotency_Key="k-1") for _ in range(2)]
    assert [(201, 4)] * 2 == [(one.status, one.json["version"]) for one in found]
    assert 409 == post(PATH, body).status
    assert 400 == post(PATH, {"version": 2, "deadline_seconds": 5}).status
    assert [4, 3, 2, 1] == versions(items)


def test_the_api_after_a_restart(redis_server, tmp_path):
    """The server knows the fork that the key has made, and the version that it has put back."""
    settings = settings_for(redis_server, home=tmp_path)
    found, put_back = [], []
    for number in range(2):
        with items_on(settings) as items:
            if not number:
                ended(items)
            head = {"Authorization": f"Bearer {items.site.token}", "Idempotency_Key": "k-1"}
            head["Content_Type"] = "application/json"
            body = json.dumps({"version": 2}).encode()
            found.append(items.site.ask("POST", f"/api/v1{PATH}", body, **head).json["work_id"])
            assert 1 == len(items.roost.work("w-1").status().forks)
            head["Idempotency_Key"] = "k-2"
            body = json.dumps({"version": 2, "in_place": True}).encode()
            put_back.append(items.site.ask("POST", f"/api/v1{PATH}", body, **head).json["version"])
            assert [4, 3, 2, 1] == versions(items)
    assert found[0] == found[1]
    assert [4, 4] == put_back


def test_what_was_used_before_it_was_put_back(items):
    """Putting it back takes its counts back, and not what was paid."""
    items.new("w-1")
    claim = items.claim("w-1")
    for tokens in (100, 300, 600):
        items.step(claim, {"tokens": tokens})
    items.fail(claim, "429")
    _, form = looked(items, version="1", how="in-place")
    assert 303 == send(items, form).status
    claim = items.claim("w-1")
    items.step(claim, {"tokens": 350})
    text, _ = looked(items, version="1")
    assert "3 steps since version 1" in text
    assert "750 tokens" in text


def test_the_browser_goes_back(items):
    """Each look has an address without anything of what was typed; what has begun says so."""
    agent(items)
    form = form_of(items.site.get(PATH).text, version="2", how="fork", lines="api_key=hunter9")
    found = items.site.post(PATH, urlencode({**form, "do": "preview"}).encode())
    address = found.headers["location"].removeprefix(items.site.origin)
    assert (303, False) == (found.status, "hunter9" in address)
    page = items.site.get(address).text
    assert "Start the fork" in page
    assert form_of(page) == form_of(items.site.get(address).text)
    begun = form_of(page, version="2", how="fork", lines="api_key=hunter9", do="start")
    assert 303 == send(items, begun).status
    text = words(main(items.site.get(address).text))
    assert "This has begun already" in text
    assert "Start the fork" not in text
    assert 303 == send(items, begun).status
    assert 1 == len(items.roost.work("w-1").status().forks)
    # Of another console, or of other work, it is nothing.
    items.new("w-3")
    for path in (f"{PATH}?look=none", address.replace("w-1", "w-3")):
        assert "is not kept any more" in items.site.get(path).text
