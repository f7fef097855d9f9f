"""Every page of the navigation, and an item of each state: for all eyes, and on any screen."""

from __future__ import annotations

import pytest

from roost_core.backend import ClaimRequest
from roost_core.models import State
from tests.browser.test_item import badge
from tests.browser.test_kit import WIDTHS, judged

WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
STATES = ("queued", "running", "blocked", "sleeping", "paused", "failed", "done", "cancelled")
LOOKS = ((390, "dark"), (1280, "light"))


@pytest.fixture(scope="module")
def states(scene):
    """Put work into each state; its id is the state's name."""
    items, work = scene.items, scene.roost.work
    items.new("running", {"a": 1}, title="A title of usual length", resources=["gpu-0"])
    items.claim("running")
    items.new("blocked", {"a": 1}, resources=["gpu-0"])
    # To claim it is to find that what it needs is in use.
    scene.roost.run(
        lambda roost: roost.ledger.claim(ClaimRequest("worker-1", ("none",), 9, 60_000))
    )
    items.new("sleeping", {"a": 1}, delay_seconds=900)
    items.new("paused", {"a": 1}, labels={"team": "search"})
    work("paused").pause(reason="until Monday")
    items.new("cancelled", {"a": 1})
    work("cancelled").cancel(reason="not needed")
    scene.failed("failed", "429 Too Many Requests: https://example.test/" + "x" * 300)
    scene.new("done")
    scene.let("done")
    scene.comes_to("done", State.DONE)
    items.new("queued", {"a": 1}, title="word " * 39 + "end")
    for one in STATES:
        assert one == work(one).row().meta.state
    return scene


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_every_page_of_the_navigation(states, eyes, width, theme):
    """With work in every state on it: axe finds nothing, and nobody scrolls sideways."""
    page = states.page(eyes, viewport={"width": width, "height": 844}, color_scheme=theme)
    for path in [*states.places(page), "/act/retry?q=state:failed", "/events?work=failed"]:
        page.goto(f"{states.console.origin}{path}")
        seen_by_all(page, path)


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_an_item_of_each_state(states, eyes, width, theme):
    """Its page says the state by a word, in its head and in the title of its tab."""
    page = states.page(eyes, viewport={"width": width, "height": 844}, color_scheme=theme)
    for state in STATES:
        page.goto(f"{states.console.origin}/work/{state}")
        badge(page, state)
        assert f"{state} · {state}" in page.title()
        seen_by_all(page, state)


def seen_by_all(page, what):
    """Check a page in the look that it has, and its width in every window."""
    page.locator("h1").wait_for()
    assert [] == judged(page), what
    usual = page.viewport_size
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        assert 0 >= page.evaluate(WIDE), (what, width)
    page.set_viewport_size(usual)
