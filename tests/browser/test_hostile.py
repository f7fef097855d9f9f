"""Whatever others have written is shown on every page that shows it, and does nothing there."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from roost_core.models import Heartbeat
from tests.browser.test_live import settled

#: It would run, ask elsewhere, break out of an attribute or an element, and hide or reorder text.
MARKUP = (
    "\"'></title></script><script>alert(1)</script><img src=//elsewhere.test/x onerror=alert(1)>"
    "<svg onload=alert(1)><iframe src=//elsewhere.test></iframe><evil-one>{{7*7}}"
)
ODD = "\u202egnp.exe\u202c \x1b[31mred\x07 zero\u200bwidth"
HOSTILE = f"{MARKUP}{ODD}"
#: The same where control characters are refused, and texts are short.
NAME = "<script>alert(1)</script><img src=//elsewhere.test/x onerror=alert(1)>\u202egnp.exe\u202c"
#: What would be there if any of it were taken for markup.
MADE = (
    "evil-one, iframe, object, embed, [onerror], [onload], #main script, #main img[src*=elsewhere],"
    " a[href^='javascript:'], base[href*=elsewhere]"
)
BARRED = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b\u202a-\u202e\u2066-\u2069]")
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def hostile(scene):
    """Put it into all that may hold it: two dead letters, work that runs, and work that waits."""
    items = scene.items
    large = {HOSTILE: HOSTILE, "long": HOSTILE * 2_000}
    for n in range(2):
        items.new(f"dead-{n}", large, title=NAME, labels={"team": "search"})
        claim = items.claim(f"dead-{n}")
        kept = [
            items.artifact(f"dead-{n}", (HOSTILE * 9_000).encode(), ext=ext, name=NAME)
            for ext in ("html", "svg", "json", "md")
        ]
        items.step(claim, {HOSTILE: ODD, "list": [NAME]})
        items.step(
            claim, {HOSTILE: HOSTILE, "list": [HOSTILE, NAME], "long": HOSTILE * 9_000}, kept
        )
        items.fail(claim, HOSTILE * 20, HOSTILE * 60)
    for work_id in ("runs", "waits"):
        items.new(work_id, large, title=NAME, resources=["<evil-one>"])
        if work_id == "runs":
            items.beat(items.claim(work_id), Heartbeat(0.5, NAME))
    scene.roost.engine("other").hold(reason=NAME)
    return scene


@pytest.fixture
def page(hostile, eyes):
    """Give a window that notes what the hostile texts would do."""
    page = hostile.page(eyes)
    done = []

    def asked(dialog):
        done.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def requested(request):
        if not request.url.startswith(hostile.console.origin):
            done.append(f"request: {request.url}")

    page.on("dialog", asked)
    page.on("request", requested)
    yield page
    assert [] == done


def harmless(page, path):
    """Check that a page is whole, shows nothing hidden as it is, and is of use."""
    page.locator("h1").wait_for()
    closed = page.locator("#main details:not([open], .menu) > summary:visible")
    for summary in closed.element_handles():
        summary.evaluate("one => one.click()")  # what opens above may move it from below a mouse
    assert 0 == page.locator(MADE).count(), path
    assert not BARRED.search(page.locator("body").inner_text()), path
    assert not BARRED.search(page.title()), path
    assert "{{7*7}}" in MARKUP
    assert 0 >= page.evaluate(WIDE), path
    assert len(page.content()) < 1_500_000, path
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")


def test_every_page_of_the_navigation(hostile, page):
    """Whatever pages there are."""
    seen = ""
    for path in hostile.places(page):
        page.goto(f"{hostile.console.origin}{path}")
        settled(page)
        harmless(page, path)
        seen += page.locator("#main").inner_text()
    assert "<script>alert(1)</script>" in seen
    assert "⟨U+202E⟩" in seen
    assert "<evil-one>" in seen


@pytest.mark.parametrize(
    "path",
    [
        *(f"/work/{one}" for one in ("dead-0", "runs", "waits", "dead-0/snapshot", "dead-0/life")),
        *(f"/work/dead-0/{one}" for one in ("history", "diff", "version/1", "replay?from=1")),
        f"/work/dead-1/replay?from={quote(HOSTILE)}",
        "/events?work=dead-0",
        f"/events?engine={quote(HOSTILE)}",
        "/act/retry?q=state:failed",
        "/act/drop?id=dead-0&id=dead-1",
    ],
)
def test_every_page_of_work(hostile, page, path):
    """What is one item's, and what is asked before a verb."""
    page.goto(f"{hostile.console.origin}{path}")
    harmless(page, path)


@pytest.mark.parametrize(
    "path",
    [
        f"/work?q={quote(HOSTILE)}",
        f"/work/dead-0/diff?from={quote(HOSTILE)}",
        f"/work/dead-0/diff?from=9&to={quote(NAME)}",
        f"/work/{quote(NAME.replace('/', ''), safe='')}",
        f"/work?after={quote(HOSTILE)}",
        f"/events?kind={quote(HOSTILE)}",
        f"/events?work={quote(HOSTILE)}",
        f"/act/retry?q={quote(HOSTILE)}",
        f"/act/{quote(MARKUP.replace('/', ''), safe='')}",
        f"/{quote(MARKUP, safe='')}",
    ],
)
def test_an_address_that_somebody_has_made(hostile, page, eyes, path):
    """Their texts are in the answers, which are refusals or empty."""
    eyes.expected += ("400", "404")
    page.goto(f"{hostile.console.origin}{path}")
    harmless(page, path)


def test_artifacts_are_looked_at(hostile, page):
    """Pages, pictures, data and notes: as a text, a part of it, or an image that runs nothing."""
    page.goto(f"{hostile.console.origin}/work/dead-0")
    page.locator(".artifact").first.wait_for()
    for summary in page.locator(".artifact > summary").element_handles():
        summary.click()
    looks = page.locator(".artifact-look")
    for n in range(looks.count()):
        looks.nth(n).locator("xpath=self::*[normalize-space() != '…']").wait_for()
    harmless(page, "/work/dead-0")
    assert "<script>alert(1)</script>" in looks.first.inner_text()
