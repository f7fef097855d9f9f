"""The overview and what belongs to it, as a person sees and uses them."""

from __future__ import annotations

import pytest

from tests.browser.test_kit import seen_by_all
from tests.browser.test_live import stands
from tests.integration.cli_bench import ending


def icon(page):
    """Return the icon of the tab."""
    return page.locator("link[rel=icon]").get_attribute("href") or ""


@pytest.fixture
def page(console, eyes):
    """Give the overview."""
    found = eyes.page()
    found.goto(console.url)
    stands(found, "live")
    return found


def test_is_all_well(page, shell):
    """Nothing yet, then a need, then all is well: first line, title and icon say so, live."""
    assert page.get_by_text("roost new my_agent").is_visible()
    assert page.title().startswith("Begin")
    mark = str(shell.folder / "mark")
    shell.enqueue("slow", {"mark": mark, "seconds": 0.1})
    page.get_by_role("heading", name="1 thing needs you").wait_for()
    page.wait_for_function("document.title.startsWith('(1) 1 thing needs you')")
    assert "alert" in icon(page)
    assert page.get_by_text("roost worker --plugin PATH --engines slow").is_visible()
    with ending(shell.start("worker", "--plugin", "./slow.py", "--engines", "slow")):
        page.get_by_role("heading", name="All is well").wait_for()
        page.wait_for_function("document.title.startsWith('All is well')")
        page.wait_for_function(
            "!document.querySelector('link[rel=icon]').getAttribute('href').includes('alert')"
        )


def test_a_held_engine_is_released_by_its_button(page, shell):
    """The dialog says what will happen and shows the command; then all is as it was."""
    shell.run("pause", "--engine", "slow", "--reason", "the vendor is down")
    shell.enqueue("slow", {})
    page.get_by_text("the vendor is down").first.wait_for()
    page.get_by_role("button", name="Release slow").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_text("roost resume --engine slow").is_visible()
    dialog.get_by_label("Reason").fill("it is back")
    dialog.get_by_role("button", name="Release", exact=True).click()
    page.get_by_text("Engine slow is released").wait_for()
    page.get_by_text("No live worker offers engine slow").wait_for()
    assert "it is back" in shell.ok("events")


def test_an_engine_is_held_on_the_page_of_the_workers(page, console, shell):
    """By the keyboard alone."""
    shell.enqueue("slow", {})
    page.keyboard.press("g")
    page.keyboard.press("k")
    page.wait_for_url("**/workers")
    stands(page, "live")
    page.get_by_role("button", name="Hold", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_label("Reason").focus()
    page.keyboard.type("a test")
    page.keyboard.press("Enter")
    page.get_by_text("Engine slow is held").wait_for()
    page.get_by_text("a test").first.wait_for()


def test_a_worker_that_dies_is_noticed_though_nothing_happens(page, shell):
    """It makes no event, so time alone brings it."""
    with ending(
        shell.start("worker", "--plugin", "./slow.py", "--engines", "slow", "--lease-ttl", "1")
    ) as worker:
        page.locator(".worker").wait_for(timeout=60_000)
        worker.kill()
        worker.wait()
        page.locator(".worker").wait_for(state="detached", timeout=60_000)


def test_the_doctor_runs_when_asked(page, console, shell):
    """With a remedy to copy, and the time."""
    shell.enqueue("nobody", {})
    page.goto(f"{console.origin}/doctor")
    page.get_by_role("link", name="Run it now").click()
    page.get_by_text("roost worker --plugin PATH --engines nobody").first.wait_for()
    assert page.locator("time[data-time=ago]").count() == 1


def test_nobody_is_shut_out_of_a_full_board(console, shell, eyes):
    """Axe finds nothing, and nothing scrolls sideways, with all that can stand there."""
    page = eyes.page()
    mark = str(shell.folder / "mark")
    shell.enqueue("nobody", {}, "--title", "<b>" + "x" * 150)
    shell.enqueue("slow", {"mark": mark, "seconds": 60}, "--resource", "github")
    shell.enqueue("slow", {}, "--max-attempts", "1")  # it fails: there is no mark
    shell.run("pause", "--engine", "held")
    shell.enqueue("held", {})
    with ending(shell.start("worker", "--plugin", "./slow.py", "--engines", "slow")):
        page.goto(console.url)
        page.get_by_text("half way").first.wait_for()
        page.get_by_text("KeyError").first.wait_for(timeout=60_000)
        for path in ("/", "/workers", "/resources", "/plugins", "/doctor/run"):
            page.goto(f"{console.origin}{path}")
            seen_by_all(page, path)
