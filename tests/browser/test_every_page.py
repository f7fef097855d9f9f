"""Every page of the navigation, and an item of each state: for all eyes, and on any screen."""

from __future__ import annotations

import pytest

from roost_core.backend import ClaimRequest, Failure
from roost_core.codec.records import encode_model
from roost_core.models import ErrorRecord, State
from tests.browser.test_item import badge
from tests.browser.test_kit import WIDER, WIDTHS, seen_by_all

#: Nothing can wait for a person yet.
STATES = tuple(str(one) for one in State if one is not State.WAITING)
#: An id that leaves no room for anything beside it.
LONG = f"queued-{'x' * 110}"


@pytest.fixture(scope="module")
def states(scene):
    """Put work into each state; its id is the state's name."""
    items, work = scene.items, scene.roost.work
    items.new("running", {"a": 1}, title="A title of usual length", resources=["gpu-0"])
    items.claim("running", 600_000)  # longer than all tests here take
    scene.roost.enqueue("rare", work_id="blocked", any_engine=True, resources=["gpu-0"])
    block(scene)
    items.new("retry_wait", {"a": 1})
    later(scene, items.claim("retry_wait"))
    items.new("sleeping", {"a": 1}, delay_seconds=900)
    items.new("paused", {"a": 1}, labels={"team": "search"})
    work("paused").pause(reason="until Monday")
    items.new("cancelled", {"a": 1})
    work("cancelled").cancel(reason="not needed")
    scene.failed("failed", "429 Too Many Requests: https://example.test/" + "x" * 300)
    scene.new("done")
    scene.let("done")
    scene.comes_to("done", State.DONE)
    items.new(LONG)
    items.new("queued", {"a": 1}, title="word " * 39 + "end")
    for one in STATES:
        assert one == work(one).row().meta.state
    return scene


def block(scene):
    """Claim what needs a resource that is in use: it is found out then, and again after a while."""
    request = ClaimRequest("worker-1", ("rare",), 1, 600_000)
    assert not scene.roost.run(lambda roost: roost.ledger.claim(request)).claims


def later(scene, claim):
    """Let a step fail, to be tried again in a while."""
    error = encode_model(ErrorRecord("exception", "429 Too Many Requests", "Broken", None))
    failure = Failure("later", error, permanent=False, delay_ms=900_000)
    scene.roost.run(lambda roost: roost.ledger.fail(claim.lease, failure))


def test_every_page_of_the_navigation(states, eyes):
    """With work in every state on it: axe finds nothing, and nobody scrolls sideways."""
    page = states.page(eyes)
    done = [f"/work/done/{one}" for one in ("history", "diff", "version/1", "replay?from=1")]
    others = ["/act/retry?q=state:failed", "/events?work=failed"]
    for path in [*states.places(page), *others, *done]:
        page.goto(f"{states.console.origin}{path}")
        looked_at(page, path)


def test_an_item_of_each_state(states, eyes):
    """Its page says the state by a word, in its head and in the title of its tab."""
    page = states.page(eyes)
    for state in STATES:
        if state == "blocked":
            block(states)  # the other tests may have taken longer than it stays so by itself
        page.goto(f"{states.console.origin}/work/{state}")
        badge(page, state.replace("_", " "))
        assert f"{state} · {state.replace('_', ' ')}" in page.title()
        looked_at(page, state)


def looked_at(page, what):
    """Check a page in each look, and its width in every window."""
    seen_by_all(page, what, light=(1280,), dark=(390,))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        assert 0 >= page.evaluate(WIDER), (what, width)


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_what_opens_is_seen_whole(states, eyes, width):
    """A menu that leaves the window at its side cannot be read, nor scrolled to."""
    page = states.page(eyes, viewport={"width": width, "height": 844})
    cut = {}
    for path in (
        "/work/failed",
        f"/work/{LONG}",
        "/work/running",
        "/work?q=state:failed",
        "/failed",
    ):
        page.goto(f"{states.console.origin}{path}")
        menus = page.locator("main details[data-menu]")
        assert menus.count(), path
        for number in range(menus.count()):
            menus.nth(number).locator("summary").click()
            box = menus.nth(number).locator(".menu-list").bounding_box()
            if box["x"] < 0 or box["x"] + box["width"] > width:
                cut[path, number] = box
            page.keyboard.press("Escape")
    assert {} == cut
