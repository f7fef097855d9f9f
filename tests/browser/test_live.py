"""What is shown follows what happens, quietly: one stream, nothing lost, nothing disturbed."""

from __future__ import annotations

import time

import pytest

#: What the browser says when the server is away or refuses; these tests take it away.
AWAY = (
    "ERR_CONNECTION_REFUSED",
    "ERR_INCOMPLETE_CHUNKED",
    "ERR_EMPTY_RESPONSE",
    "ERR_CONNECTION_RESET",
)
#: How long a test waits for what must not happen. Seconds.
QUIET = 2.5


def opened(page, kit, path="/work"):
    """Open a page and wait until it is live."""
    page.goto(f"{kit.url}{path}")
    stands(page, "live")
    return page


def stands(page, state):
    """Wait until the badge says how the page stands."""
    page.locator(f"#live[data-kept-state={state}]").wait_for()


def settled(page):
    """Wait until a page is live, if it is of those that are."""
    if page.locator("#main").get_attribute("data-live") != "none":
        stands(page, "live")


def rows(page, count):
    """Wait until the list has this many rows."""
    from playwright.sync_api import expect

    # A function to wait for would be evaluated, which the page's policy forbids.
    expect(page.locator("[data-row]")).to_have_count(count, timeout=15_000)


def is_hidden(page, hidden):
    """Tell a page that its tab is, or is no longer, hidden; Chromium without a head has no tabs."""
    page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_list_follows_what_happens(kit, eyes):
    """A new row comes without a reload, and the badge tells how old the page is."""
    page = opened(eyes.page(), kit)
    assert "behind" in page.locator("#live").inner_text()
    kit.stage.rows = 13
    kit.stage.happened()
    rows(page, 13)


def test_many_events_are_few_readings(kit, eyes):
    """A busy queue makes a page read itself once a second at most."""
    page = opened(eyes.page(), kit)
    kit.stage.requests.clear()
    kit.stage.rows = 14
    began = time.monotonic()
    for n in range(100):
        kit.stage.happened(event_id=f"{n}-0")
    rows(page, 14)
    page.wait_for_timeout(1_500)
    assert kit.stage.requests.count("/work") <= 2 + (time.monotonic() - began)


def test_readers_are_not_disturbed(kit, eyes):
    """Focus, selection, what is open, what was typed and the place in the page stay."""
    page = opened(eyes.page(), kit)
    page.locator("[data-row='scout-004'] [data-pick]").check()
    page.locator("[data-at='/messages'] > summary").click()
    page.get_by_role("button", name="Retry 7…").click()
    page.get_by_label("Reason").type("the limit was")
    page.evaluate("scrollTo(0, 200)")
    kit.stage.rows = 15
    kit.stage.note = "second"
    kit.stage.happened()
    rows(page, 15)
    page.get_by_text("in each of its variants. second").wait_for()
    page.keyboard.type(" raised")
    assert "the limit was raised" == page.get_by_label("Reason").input_value()
    assert page.locator("#ask").evaluate("(one) => one.open")
    assert page.locator("[data-row='scout-004'] [data-pick]").is_checked()
    assert page.locator("[data-at='/messages']").evaluate("(one) => one.open")
    assert 200 == page.evaluate("scrollY")


def test_the_current_row_stays_current(kit, eyes):
    """It keeps the focus when rows come before it."""
    page = opened(eyes.page(), kit)
    page.keyboard.press("j")
    page.keyboard.press("j")
    before = page.evaluate("document.activeElement.dataset.row")
    kit.stage.rows = 20
    kit.stage.happened()
    rows(page, 20)
    assert before == page.evaluate("document.activeElement.dataset.row")


def test_selected_rows_that_leave_are_not_acted_on(kit, eyes):
    """What cannot be seen any more is not selected any more."""
    page = opened(eyes.page(), kit)
    page.locator("[data-row='scout-011'] [data-pick]").check()
    page.locator("[data-row='scout-001'] [data-pick]").check()
    bar = page.locator("[data-bulk-count]")
    assert "2" == bar.inner_text()
    kit.stage.rows = 5
    kit.stage.happened()
    rows(page, 5)
    assert "1" == bar.inner_text()


def test_ten_tabs_share_one_stream(kit, eyes):
    """Browsers open six connections to a host: with a stream each, the seventh tab would hang."""
    context = eyes.context()
    pages = [opened(context.new_page(), kit) for _ in range(10)]
    assert 1 == len(kit.stage.streams)
    kit.stage.rows = 16
    kit.stage.happened()
    for page in pages:
        page.bring_to_front()
        rows(page, 16)


def test_a_tab_that_closes_leaves_no_stream(kit, eyes):
    """The console is not kept busy for nobody."""
    context = eyes.context()
    page, other = opened(context.new_page(), kit), opened(context.new_page(), kit)
    page.close()
    kit.stage.rows = 13
    kit.stage.happened()
    rows(other, 13)
    context.close()
    eyes.contexts.remove(context)
    deadline = time.monotonic() + 20
    while kit.stage.streams and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [] == kit.stage.streams


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_hidden_tab_asks_for_nothing(kit, eyes, is_shared):
    """It reads itself once, when it is seen again."""
    page = eyes.page()
    if not is_shared:
        page.add_init_script("delete window.SharedWorker")
    opened(page, kit)
    is_hidden(page, True)
    page.wait_for_timeout(500)
    kit.stage.requests.clear()
    kit.stage.rows = 17
    kit.stage.happened()
    page.wait_for_timeout(QUIET * 1000)
    assert [] == kit.stage.requests
    is_hidden(page, False)
    rows(page, 17)
    assert 1 == kit.stage.requests.count("/work")


def test_the_stream_ends_when_every_tab_is_hidden(kit, eyes):
    """A console that nobody looks at costs nothing."""
    page = opened(eyes.page(), kit)
    is_hidden(page, True)
    deadline = time.monotonic() + 20
    while kit.stage.streams and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    assert [] == kit.stage.streams
    is_hidden(page, False)
    stands(page, "live")


def test_without_shared_workers(kit, eyes):
    """Chrome on Android has none: a page that is seen has a stream of its own."""
    page = eyes.page()
    page.add_init_script("delete window.SharedWorker")
    opened(page, kit)
    kit.stage.rows = 18
    kit.stage.happened()
    rows(page, 18)


def test_a_shared_worker_that_does_not_start(kit, eyes):
    """Some browsers have shared workers, but none that are modules: the page is live without."""
    page = eyes.page()
    page.add_init_script(
        """window.SharedWorker = class extends EventTarget {
            port = { postMessage() {} };
            constructor() {
                super();
                setTimeout(() => this.dispatchEvent(new Event("error")), 50);
            }
        }"""
    )
    opened(page, kit)
    kit.stage.rows = 18
    kit.stage.happened()
    rows(page, 18)


@pytest.mark.parametrize("is_shared", [True, False])
def test_lost_and_back(kit, eyes, is_shared):
    """The page stays, says how old it is, and continues by itself, where it was in the events."""
    eyes.expected += AWAY
    page = eyes.page()
    if not is_shared:
        page.add_init_script("delete window.SharedWorker")
    opened(page, kit)
    kit.stage.tell("happened", "7-0", work="w-1", engine="e", kind="committed", at="")
    page.wait_for_timeout(1_500)
    kit.stop()
    stands(page, "lost")
    assert page.get_by_text("The console does not answer.").is_visible()
    assert page.locator("[data-row]").count() > 0
    assert page.title().startswith("○ ")
    assert "favicon-lost" in page.locator("link[rel=icon]").get_attribute("href")
    kit.stage.rows = 19
    kit.start()
    stands(page, "live")
    rows(page, 19)
    assert "7-0" == kit.stage.resumed[-1]
    assert not page.title().startswith("○")
    assert not page.get_by_text("The console does not answer.").is_visible()


def test_the_server_behind_the_console_is_lost(kit, eyes):
    """The console answers, and says that what it shows is old."""
    page = opened(eyes.page(), kit)
    kit.stage.tell("gone")
    stands(page, "gone")
    assert page.get_by_text("The server does not answer").is_visible()
    kit.stage.rows = 21
    kit.stage.tell("back")
    stands(page, "live")
    rows(page, 21)


def test_a_sign_in_that_has_ended(kit, eyes):
    """After a new start of the console the page says what to do, and continues after it."""
    eyes.expected += AWAY
    page = opened(eyes.page(), kit)
    kit.stage.is_signed_in = False
    kit.stage.end_streams()
    stands(page, "signed-out")
    assert page.get_by_text("Your sign-in has ended").is_visible()
    kit.stage.is_signed_in = True
    stands(page, "live")


def test_trimmed_events_are_told(kit, eyes):
    """Whoever was away for too long reads the page anew, and is told so."""
    page = opened(eyes.page(), kit)
    kit.stage.rows = 22
    kit.stage.tell("trimmed", "9-0")
    rows(page, 22)
    banner = page.get_by_text("The page has been read anew.")
    assert banner.is_visible()
    page.get_by_role("button", name="Close").click()
    assert not banner.is_visible()


def test_a_page_that_fails_is_kept(kit, eyes):
    """An error in reading it again does not take away what was there."""
    eyes.expected += ("500",)
    page = opened(eyes.page(), kit)
    kit.stage.page_status = 500
    kit.stage.happened()
    stands(page, "stale")
    assert page.locator("[data-row]").count() > 0
    assert page.get_by_text("This page could not be read again").is_visible()
    assert "○ Kit · Roost" == page.title()
    kit.stage.page_status = 200
    kit.stage.rows = 23
    kit.stage.happened()
    rows(page, 23)
    stands(page, "live")


def test_a_page_can_be_held(kit, eyes):
    """Who reads closely holds the page, and lets it continue."""
    page = opened(eyes.page(), kit)
    page.locator("#live").click()
    stands(page, "held")
    kit.stage.requests.clear()
    kit.stage.rows = 24
    kit.stage.happened()
    page.wait_for_timeout(QUIET * 1000)
    assert [] == kit.stage.requests
    page.keyboard.press("l")
    rows(page, 24)
    stands(page, "live")


def test_a_title_and_an_icon_tell_of_the_state(kit, eyes):
    """Among many tabs, one sees which one needs somebody."""
    page = opened(eyes.page(), kit)
    icon = page.locator("link[rel=icon]")
    assert "favicon-calm" in icon.get_attribute("href")
    kit.stage.mood = "alert"
    kit.stage.happened()
    page.locator("link[rel=icon][href*=favicon-alert]").wait_for(state="attached")
