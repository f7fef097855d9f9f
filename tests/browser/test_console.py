"""The console as people start it, on a server of its own, in a browser."""

from __future__ import annotations

import json

from tests.browser.kit.app import HOSTILE
from tests.browser.test_kit import judged, seen_by_all
from tests.browser.test_live import AWAY, stands
from tests.consoles import running
from tests.integration.cli_bench import ending
from tests.servers import start_server


def row(page, work_id):
    """Return a row of the list."""
    return page.locator(f"[data-row='{work_id}']")


def test_the_address_signs_in(console, eyes):
    """The token is gone from the address at once, and every page of the navigation opens."""
    page = eyes.page()
    page.goto(console.url)
    assert "token" not in page.url
    stands(page, "live")
    for link in page.locator("#side [data-go]").evaluate_all("all => all.map((one) => one.href)"):
        page.goto(link)
        assert page.locator("h1").count() == 1
        assert page.locator("#side [aria-current=page]").count() == 1


def test_work_goes_from_queued_to_done(console, shell, eyes):
    """Enqueued, run and finished on the command line; the page shows each without a reload."""
    page = eyes.page()
    page.goto(console.url)
    page.goto(f"{console.origin}/work")
    stands(page, "live")
    mark = str(shell.folder / "mark")
    work_id = shell.enqueue("slow", {"mark": mark, "seconds": 1.5}, "--work-id", "w-live")
    row(page, work_id).locator(".badge", has_text="queued").wait_for()
    with ending(shell.start("worker", "--plugin", "./slow.py", "--engines", "slow", "--burst")):
        row(page, work_id).locator(".badge", has_text="running").wait_for()
        row(page, work_id).locator(".badge", has_text="done").wait_for()


def test_the_server_is_lost_and_comes_back(console, server, shell, eyes):
    """The page stays and says so; when the server is back it is live again."""
    eyes.expected += ("503", *AWAY)
    shell.enqueue("slow", {}, "--work-id", "w-one")
    page = eyes.page()
    page.goto(console.url)
    page.goto(f"{console.origin}/work")
    row(page, "w-one").wait_for()
    stands(page, "live")
    server.kill()
    page.locator("#live", has_text="not live").wait_for()
    assert row(page, "w-one").is_visible()
    again = start_server(server.binary, server.folder, "--appendonly", "yes")
    with ending(again.process):
        shell.enqueue("slow", {}, "--work-id", "w-two")
        row(page, "w-two").wait_for()
        stands(page, "live")


def test_the_console_is_started_again(shell, eyes):
    """A page from before says that its sign-in has ended, and is live again after a new sign-in."""
    eyes.expected += ("401", *AWAY)
    context = eyes.context()
    page = context.new_page()
    with running(shell) as first:
        page.goto(first.url)
        page.goto(f"{first.origin}/work")
        stands(page, "live")
        port = str(first.port)
    stands(page, "lost")
    with running(shell, "--port", port) as second:
        stands(page, "signed-out")
        assert page.get_by_text("Your sign-in has ended").is_visible()
        other = context.new_page()
        other.goto(second.url)
        stands(page, "live")
        page.close()
        other.close()


def test_nobody_is_shut_out(console, shell, eyes):
    """Axe finds nothing on any page that the navigation names, nor does it scroll sideways."""
    for n in range(3):
        shell.enqueue("slow", {"n": n}, "--title", f"Number {n}")
    page = eyes.page()
    page.goto(console.url)
    for link in page.locator("#side [data-go]").evaluate_all("all => all.map((one) => one.href)"):
        page.goto(link)
        seen_by_all(page, link)


def test_the_way_in_shuts_nobody_out(console, eyes):
    """The page for those who are not signed in."""
    eyes.expected += ("401",)
    page = eyes.page()
    page.goto(f"{console.origin}/work")
    assert [] == judged(page)
    page.get_by_label("Token").fill(console.token)
    page.get_by_role("button", name="Sign in").click()
    stands(page, "live")


def test_a_hostile_title_does_nothing(console, shell, eyes):
    """It is shown, markup and all."""
    title = HOSTILE.encode("utf-8", "ignore").decode()
    title = "".join(one for one in title if one >= " ")
    shell.enqueue("slow", json.loads("{}"), "--title", title, "--work-id", "w-hostile")
    page = eyes.page()
    page.goto(console.url)
    page.goto(f"{console.origin}/work")
    text = row(page, "w-hostile").inner_text()
    assert "<script>alert(1)</script>" in text
    assert "⟨U+202E⟩" in text
    assert "\u202e" not in text
