"""The kit: readable in both themes and on every width, harmless, and of use without a mouse."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from roost_core.shown.spans import ago, ahead
from tests.browser.conftest import WIDE, missing
from tests.browser.kit.app import HOSTILE

WIDTHS = (390, 768, 1280, 1600)


#: How many pixels of a page are beside its window.
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
#: The rules of axe that look at colors.
COLORS = ("color-contrast", "link-in-text-block")


def judged(page, rules=()) -> list[str]:
    """Return what axe finds wrong with a page: by these rules, or by all that it usually has."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        missing("axe-playwright-python")
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    options = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    # What it finds nothing wrong with is a lot, and need not be sent.
    run = "options => axe.run(document, options).then(found => found.violations)"
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
        for one in page.evaluate(run, options)
        for node in one["nodes"]
    ]


def seen_by_all(page, what, light=(390, 1280), dark=(390, 1280)):
    """Look at a page in windows that are so wide: axe finds nothing, nothing is cut off.

    The page is there, in the light. A theme changes nothing but colors, so only these are looked
    at again where the other one was.
    """
    for theme, widths in (("light", light), ("dark", dark)):
        if theme == "dark":
            page.emulate_media(color_scheme=theme)
            page.reload()
        page.locator("h1").wait_for()
        for width in widths:
            page.set_viewport_size({"width": width, "height": 844})
            assert 0 >= page.evaluate(WIDER), (what, width)
            rules = COLORS if theme == "dark" and width in light else ()
            assert [] == judged(page, rules), (what, width, theme)
    page.emulate_media(color_scheme="light")


def test_nobody_is_shut_out(kit, eyes):
    """Axe finds nothing: contrast, names, roles, order of headings, in every look of the page."""
    page = eyes.page()
    page.goto(f"{kit.url}/work")
    page.locator("#live[data-kept-state=live]").wait_for()
    seen_by_all(page, "kit", WIDTHS, WIDTHS)


def test_dialogs_and_menus_shut_nobody_out(kit, eyes):
    """What opens is as good as what is there from the start."""
    page = eyes.page()
    page.goto(f"{kit.url}/work")
    page.keyboard.press("?")
    page.locator("#help[open]").wait_for()
    assert [] == judged(page)
    page.keyboard.press("Escape")
    page.get_by_text("Actions", exact=True).first.click()
    page.get_by_role("button", name="Bury…").wait_for()
    assert [] == judged(page)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_window(kit, eyes, width):
    """Nobody has to scroll sideways, on a telephone either."""
    page = eyes.page(viewport={"width": width, "height": 844})
    page.goto(f"{kit.url}/work")
    wide = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert 0 >= wide


def test_a_theme_is_chosen_and_kept(kit, eyes):
    """The system decides until the reader does; the choice holds in every tab and comes back."""
    context = eyes.context(color_scheme="dark")
    page, other = context.new_page(), context.new_page()
    page.goto(f"{kit.url}/work")
    other.goto(f"{kit.url}/events")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light", exact=True).click()
    light = page.evaluate(ground)
    assert dark != light
    other.locator("html[data-theme=light]").wait_for()
    assert light == other.evaluate(ground)
    page.reload()
    assert light == page.evaluate(ground)
    assert "true" == page.get_by_role("button", name="Light", exact=True).get_attribute(
        "aria-pressed"
    )
    page.get_by_role("button", name="As the system").click()
    assert dark == page.evaluate(ground)


def test_hostile_text_is_seen_and_does_nothing(kit, eyes):
    """Markup is text, and what would reorder or hide text is written out."""
    page = eyes.page()
    page.goto(f"{kit.url}/work")
    title = page.locator("[data-row='scout-003'] .title").inner_text()
    assert "<script>alert(1)</script>" in title
    assert "⟨U+202E⟩" in title
    hidden = re.compile("[\x1b\u202e\u202c\u200b\ud800]")
    assert not hidden.search(page.locator("body").inner_text())
    assert hidden.search(HOSTILE)
    assert 0 == page.locator("main script").count()


def test_passwords_are_not_shown(kit, eyes):
    """Not in an error's message, and not in its traceback."""
    page = eyes.page()
    page.goto(f"{kit.url}/work")
    assert "hunter2" not in page.content()
    assert 2 <= page.content().count("ada:***@")


def test_branches_come_when_they_are_opened(kit, eyes):
    """A long list is fetched when it is opened, and continues where it ended."""
    page = eyes.page()
    page.goto(f"{kit.url}/work")
    assert "/branch" not in kit.stage.requests
    branch = page.locator("[data-at='/messages']")
    branch.locator("> summary").click()
    if "/branch" not in kit.stage.requests:
        branch.locator(":scope > ul > li").first.wait_for()
    before = branch.locator(":scope > ul > li").count()
    assert 101 == before
    branch.get_by_role("button", name="150 more").click()
    branch.get_by_role("button", name="50 more").wait_for()
    assert 202 <= branch.locator("li").count()


def test_frames_of_roost_are_folded(kit, eyes):
    """The engine's own frame is what one sees; the others open with a click."""
    page = eyes.page()
    page.goto(f"{kit.url}/work")
    trace = page.get_by_role("group", name="Traceback")
    assert trace.get_by_text("scout.py").is_visible()
    assert not trace.get_by_text("attempt.py").is_visible()
    trace.get_by_text("2 frames of Roost").click()
    assert trace.get_by_text("attempt.py").is_visible()


def test_a_command_is_copied(kit, eyes):
    """One click puts it on the clipboard, and says so."""
    context = eyes.context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{kit.url}/work")
    command = page.locator(".facts .command")
    command.get_by_role("button").click()
    page.locator("#said", has_text="Copied").wait_for(state="attached")
    assert command.locator("code").inner_text() == page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns"])
def test_times_are_told_in_one_zone(kit, eyes, zone):
    """The reader's, named in the foot; every exact time of the page is in it."""
    page = eyes.page(timezone_id=zone)
    page.goto(f"{kit.url}/work")
    page.locator("[data-zone]", has_text=zone).wait_for()
    titles = page.locator("time[data-time]").evaluate_all("all => all.map((one) => one.title)")
    assert titles
    assert all(title.endswith(zone) for title in titles)


def test_times_in_full(kit, eyes):
    """A key shows every time in full, in every page from then on."""
    page = eyes.page(timezone_id="UTC")
    page.goto(f"{kit.url}/work")
    first = page.locator("time[data-time=ago]").first
    assert first.inner_text().endswith("ago")
    page.keyboard.press("t")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", first.inner_text())
    page.reload()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", first.inner_text())


def test_times_follow_the_servers_clock(kit, eyes):
    """A reader whose own clock is an hour wrong sees the same ages."""
    page = eyes.page()
    page.clock.install(time=datetime.now(UTC) + timedelta(hours=1))
    page.goto(f"{kit.url}/work")
    page.clock.run_for(2_000)
    assert page.locator("time[data-time=ago]").first.inner_text().endswith(" s ago")


def test_both_sides_tell_times_alike(kit, eyes):
    """The script's rules are the server's, so that no text changes when a page comes to life."""
    page = eyes.page(viewport=WIDE)
    page.goto(f"{kit.url}/events")
    now = datetime(2026, 11, 26, tzinfo=UTC)
    seconds = [0, 0.4, 0.5, 1, 1.5, 2.5, 9.95, 59, 99, 99.6, 100, 105, 585, 597, 5999, 6000, 6300]
    seconds += [35_820, 129_599, 129_600, 140_400, 864_000, 9_999_999]
    found = page.evaluate(
        """async (all) => {
            const script = document.querySelector("script[type=module]").src;
            const { RELATIVE } = await import(new URL("spans.js", script));
            return all.map((one) => [RELATIVE.ago(-one), RELATIVE.ahead(one)]);
        }""",
        seconds,
    )
    expected = [
        [ago(now - timedelta(seconds=one), now), ahead(now + timedelta(seconds=one), now)]
        for one in seconds
    ]
    assert expected == found
