"""What is away, what is wrong, and what is not there look different; and pages come back."""

from __future__ import annotations

from tests.browser.test_item import badge
from tests.browser.test_live import AWAY, stands
from tests.consoles import running
from tests.integration.cli_bench import ending
from tests.servers import start_server


def opened(page, console, path):
    """Sign in and open a page."""
    page.goto(console.url)
    page.goto(f"{console.origin}{path}")
    return page


def test_the_server_is_lost_and_back_on_the_page_of_an_item(console, server, shell, eyes):
    """What was seen stays, and says how old it is; then it continues, and its verbs work."""
    eyes.expected += ("503", *AWAY)
    shell.enqueue("slow", {"goal": "kept in sight"}, "--work-id", "w-one")
    page = opened(eyes.page(), console, "/work/w-one")
    stands(page, "live")
    server.kill()
    page.locator("#live", has_text="not live").wait_for()
    badge(page, "queued")
    assert page.get_by_text("kept in sight").first.is_visible()
    assert page.title().startswith("○ ")
    again = start_server(server.binary, server.folder, "--appendonly", "yes")
    with ending(again.process):
        stands(page, "live")
        page.get_by_role("button", name="Pause", exact=True).first.click()
        page.locator("dialog[open] .dialog-foot button:not([type=button])").click()
        badge(page, "paused")
        assert not page.title().startswith("○")


def test_after_a_new_sign_in_the_page_of_an_item_goes_on(shell, eyes):
    """It is not loaded again: it shows what happened meanwhile, and what happens then."""
    eyes.expected += ("401", *AWAY)
    shell.enqueue("slow", {}, "--work-id", "w-one")
    context = eyes.context()
    page = context.new_page()
    with running(shell) as first:
        opened(page, first, "/work/w-one")
        stands(page, "live")
        page.evaluate("window.isFromBefore = true")
        port = str(first.port)
    stands(page, "lost")
    shell.ok("pause", "w-one")
    with running(shell, "--port", port) as second:
        stands(page, "signed-out")
        badge(page, "queued")
        other = context.new_page()
        other.goto(second.url)
        badge(page, "paused")
        stands(page, "live")
        shell.ok("resume", "w-one")
        badge(page, "queued")
        assert page.evaluate("window.isFromBefore")
        page.close()
        other.close()


def test_wrong_and_nothing_and_away_look_different(console, server, shell, eyes):
    """A query that cannot be read, one that finds nothing, and no answer: three headings."""
    eyes.expected += ("400", "503", *AWAY)
    shell.enqueue("slow", {}, "--work-id", "w-one")
    page = opened(eyes.page(), console, "/work")
    said = {}
    queries = {"wrong": "stat:failed", "nothing": "state:done", "all": "state:queued"}
    for name, query in queries.items():
        page.keyboard.press("/")
        page.keyboard.type(query)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/work?q={query.replace(':', '%3A')}")
        page.locator("h1").wait_for()
        assert query == page.get_by_role("searchbox").input_value()
        said[name] = page.locator("#main").inner_text()
    server.kill()
    page.goto(f"{console.origin}/work?q=state:done")
    page.locator("h1").wait_for()
    said["away"] = page.locator("#main").inner_text()
    marks = {
        "wrong": "did you mean state?",
        "nothing": "No work item is like that",
        "all": "w-one",
        "away": "does not answer",
    }
    found = {name: [m for m, text in marks.items() if text in said[name]] for name in said}
    assert {name: [name] for name in marks} == found, said


def test_no_page_says_that_there_is_nothing_while_the_server_is_away(console, server, eyes):
    """Each page of the navigation, and that of an item, says that no answer came."""
    eyes.expected += ("503", *AWAY)
    page = opened(eyes.page(), console, "/")
    links = page.locator("#side [data-go]").evaluate_all("all => all.map(one => one.pathname)")
    server.kill()
    for path in [*links, "/work/w-one"]:
        answer = page.goto(f"{console.origin}{path}")
        if answer.status == 200:  # some need no server
            continue
        assert (503, path) == (answer.status, path)
        text = page.locator("#main").inner_text()
        assert "does not answer" in text or "cannot" in text, text
        for word in ("Nothing", "No work", "No dead", "No worker", "All is well"):
            assert word not in text, path
    assert page.locator("#side [data-go]").count() == len(links)
