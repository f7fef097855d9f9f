"""Lists and verbs on many in a browser, by hand and by keyboard alone."""

from __future__ import annotations

import pytest

from roost_core import Settings, SyncRoost
from roost_core.backend import ClaimRequest, Failure
from roost_core.client.requests import EnqueueRequest
from roost_core.codec.records import encode_model
from roost_core.models import ErrorRecord
from tests.browser.test_kit import seen_by_all
from tests.browser.test_live import stands
from tests.consoles import plugins_of


@pytest.fixture
def roost(server, console):
    """Give a connection to the console's queue."""
    settings = Settings(extra={"redis_url": server.url})
    with SyncRoost.connect(settings, plugins=plugins_of()) as found:
        yield found


@pytest.fixture
def page(console, eyes, roost):
    """Give a window that is signed in, of a queue with dead letters of two errors and others."""
    names = [f"dead-{number}" for number in range(6)]
    roost.enqueue_many(
        [EnqueueRequest(engine="none", work_id=one, title=f"<b>{one}</b>") for one in names],
        any_engine=True,
    )

    async def fail(inner):
        request = ClaimRequest("worker-1", ("none",), limit=6, lease_ttl_ms=60_000)
        for claim in (await inner.ledger.claim(request)).claims:
            number = int(claim.lease.work_id[-1])
            text = f"429 for page {number}" if number < 4 else "no such page"
            error = encode_model(ErrorRecord("permanent", text, "Broken", "a line\nBroken"))
            await inner.ledger.fail(claim.lease, Failure(f"f{number}", error, True, 0))

    roost.run(fail)
    waits = [
        EnqueueRequest(engine="none", work_id=f"wait-{number}", delay_seconds=600)
        for number in range(3)
    ]
    roost.enqueue_many(waits, any_engine=True)
    found = eyes.page()
    found.goto(console.url)
    return found


def failed(roost):
    """Return how many dead letters there are."""
    return roost.count("state:failed").total


def test_retry_of_a_group_with_its_preview(page, console, roost):
    """From dead letters by error, over what it is for, to what came of it."""
    page.goto(f"{console.origin}/failed")
    page.get_by_role("link", name="Preview retry of 4").click()
    page.get_by_role("heading", name="Retry 4 dead letters?").wait_for()
    assert page.get_by_text("Broken: 429 for page").is_visible()
    page.get_by_label("Reason").fill("the limit is gone")
    page.locator(".command", has_text="--reason 'the limit is gone'").wait_for()
    assert 6 == failed(roost)
    page.get_by_role("button", name="Retry 4 dead letters").click()
    page.get_by_text("Retried 4 of 4.").wait_for()
    assert 2 == failed(roost)
    page.get_by_role("link", name="Back to the list").click()
    page.get_by_text("No work item is like that").wait_for()


def test_by_keyboard_alone(page, console, roost):
    """Two rows are selected and retried without a mouse."""
    page.goto(f"{console.origin}/work?q=state:failed")
    stands(page, "live")
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    page.locator(".bulk", has_text="2 selected").wait_for()
    page.locator(".bulk button", has_text="Retry").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Retry 2 dead letters?").wait_for()
    page.locator("[data-focus]:focus").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("Retried 2 of 2.").wait_for()
    assert 4 == failed(roost)
    page.goto(f"{console.origin}/work?q=state:failed")
    page.keyboard.press("j")
    page.keyboard.press(".")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    # What removes is never a mere Enter away.
    page.get_by_role("heading", name="Drop 1 dead letter?").wait_for()
    page.keyboard.press("Enter")
    assert page.get_by_role("heading", name="Drop 1 dead letter?").is_visible()
    assert 4 == failed(roost)


def test_the_list_is_live_and_keeps_the_selection(page, console, roost):
    """What happens elsewhere shows; what was selected stays so, unless it has left the list."""
    page.goto(f"{console.origin}/work?q=state:failed")
    stands(page, "live")
    page.keyboard.press("j")
    page.keyboard.press("x")
    mine = page.locator("[data-kept-selected]").get_attribute("data-row")
    others = [f"dead-{number}" for number in range(6) if f"dead-{number}" != mine]
    roost.work(others[0]).retry()
    page.locator(f"[data-row='{others[0]}']").wait_for(state="detached")
    assert page.locator(".bulk", has_text="1 selected").is_visible()
    roost.work(mine).retry()
    page.locator(".bulk").wait_for(state="hidden")


def test_a_wrong_query_stays_in_its_box(page, console, eyes):
    """It is marked where it is wrong, and can be mended at once."""
    eyes.expected.append("400")
    page.goto(f"{console.origin}/work")
    page.keyboard.press("/")
    page.keyboard.type("stat:failed")
    page.keyboard.press("Enter")
    page.locator("mark", has_text="stat:failed").wait_for()
    assert "stat:failed" == page.locator("[data-search]").input_value()
    page.locator("[data-search]").fill("state:failed")
    page.locator("[data-search]").press("Enter")
    page.locator("[data-row]").first.wait_for()
    assert 6 == page.locator("tbody [data-row]").count()


def test_events_are_held_and_continue(page, console, roost):
    """Held, nothing moves; then everything that happened shows, or that some were skipped."""
    page.goto(f"{console.origin}/events")
    stands(page, "live")
    page.get_by_role("button", name="Hold").click()
    stands(page, "held")
    newest = page.locator("[data-event]").first.get_attribute("data-event")
    roost.enqueue("none", work_id="later", any_engine=True)
    page.wait_for_timeout(1500)
    assert newest == page.locator("[data-event]").first.get_attribute("data-event")
    page.get_by_role("button", name="Continue").click()
    page.locator("[data-event]", has_text="later").wait_for()
    assert page.locator("[data-skipped]").is_hidden()
    page.keyboard.press("l")
    stands(page, "held")
    more = [EnqueueRequest(engine="none") for _ in range(250)]
    roost.enqueue_many(more, any_engine=True)
    page.keyboard.press("l")
    page.locator("[data-skipped]").wait_for()
    assert 200 == page.locator("[data-event]").count()


def test_narrow_wide_light_and_dark(page, console):
    """Each page fits its window, and axe finds nothing."""
    paths = (
        "/work",
        "/failed",
        "/events",
        "/artifacts",
        "/act/retry?q=state:failed",
        "/act/drop?id=dead-1",
    )
    for path in paths:
        page.goto(console.origin + path)
        seen_by_all(page, path)
