"""The page of one work item, as a person uses it."""

from __future__ import annotations

import pytest

from roost_core.models import Heartbeat
from tests.browser.test_kit import judged, seen_by_all
from tests.browser.test_live import stands
from tests.integration.cli_bench import ending

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> \u202egnp.exe"
TRACEBACK = 'Traceback:\n  File "/home/ada/agent.py", line 3, in step\n    fetch()\n'


def opened(eyes, console, path, **options):
    """Sign in and open a page."""
    page = eyes.page(**options)
    page.goto(console.url)
    page.goto(f"{console.origin}{path}")
    return page


def badge(page, text):
    """Wait until the head says how the work stands."""
    page.locator("h1 .badge", has_text=text).wait_for()


def use(page, verb, reason=""):
    """Use a verb by the menu and its dialog."""
    page.get_by_text("Actions").click()
    page.locator(f".menu-item[data-opens=verb-{verb}]").click()
    dialog = page.locator(f"#verb-{verb}")
    if reason:
        dialog.get_by_label("Reason").fill(reason)
    dialog.locator(".dialog-foot button:not([type=button])").click()


def lively(items, work_id="w-1"):
    """Make work with some of everything; return its lease."""
    items.new(work_id, {"goal": "find it"}, title="Find it", labels={"team": "search"})
    claim = items.claim(work_id)
    text = items.artifact(work_id, b"# Notes", ext="md", name="notes.md")
    items.step(claim, {"plan": ["a", "b"], "rows": list(range(500))}, [text])
    return claim


def test_pause_is_requested_and_then_confirmed(console, shell, slow_work, eyes):
    """The page tells the two apart, live, and the command is shown before anything happens."""
    page = opened(eyes, console, f"/work/{slow_work}")
    stands(page, "live")
    with ending(shell.start("worker", "--plugin", "./slow.py", "--engines", "slow")):
        badge(page, "running")
        page.get_by_text("Actions").click()
        page.locator(".menu-item[data-opens=verb-pause]").click()
        dialog = page.locator("#verb-pause")
        dialog.get_by_label("Reason").fill("it's late")
        command = f"roost pause {slow_work} --reason 'it'\"'\"'s late'"
        assert command == dialog.locator(".command code").inner_text()
        dialog.locator(".dialog-foot button:not([type=button])").click()
        assert "pausing, after this step" in page.locator(".told").inner_text()
        badge(page, "running (pausing, after this step)")
        assert page.locator(".why", has_text="it's late").is_visible()
        badge(page, "done")


def test_cancel_of_a_running_step(console, shell, slow_work, eyes):
    """The step is told, lets go, and the page shows it without a reload."""
    page = opened(eyes, console, f"/work/{slow_work}")
    with ending(shell.start("worker", "--plugin", "./slow.py", "--engines", "slow")):
        badge(page, "running")
        use(page, "cancel", "not needed")
        badge(page, "cancelled")
        page.locator(".tl-end title", has_text="cancelled").wait_for(state="attached")
        assert page.title().startswith(f"{slow_work} · cancelled")


@pytest.fixture
def slow_work(shell):
    """Enqueue work whose step takes a while."""
    mark = str(shell.folder / "mark")
    return shell.enqueue("slow", {"mark": mark, "seconds": 3}, "--work-id", "w-slow")


def test_a_dialog_stays_while_the_page_changes(console, items, eyes):
    """What is typed is not morphed away by a step that is accepted meanwhile."""
    claim = lively(items)
    page = opened(eyes, console, "/work/w-1")
    stands(page, "live")
    page.get_by_text("Actions").click()
    page.locator(".menu-item[data-opens=verb-bury]").click()
    page.locator("#verb-bury").get_by_label("Reason").fill("because")
    items.step(claim, {"plan": []})
    page.locator(".item-line", has_text="version 2").wait_for()
    assert page.locator("#verb-bury").is_visible()
    assert "because" == page.locator("#verb-bury").get_by_label("Reason").input_value()
    page.locator("#verb-bury .dialog-foot button:not([type=button])").click()
    badge(page, "running (burying)")


def test_dropped_while_the_page_is_open(console, items, eyes):
    """The page keeps what it shows, and says that the work is gone."""
    eyes.expected += ("404",)
    items.new("w-1")
    items.roost.work("w-1").cancel()
    page = opened(eyes, console, "/work/w-1")
    stands(page, "live")
    items.roost.work("w-1").drop()
    page.locator("[data-banner=stale]", has_text="it is gone").wait_for()
    badge(page, "cancelled")
    page.reload()
    page.get_by_role("heading", name="It is gone").wait_for()
    assert page.get_by_text("dropped for good by").is_visible()


def test_branches_and_artifacts_on_demand(console, items, eyes):
    """They are fetched when opened, and stay open when the page changes."""
    claim = lively(items)
    page = opened(eyes, console, "/work/w-1")
    stands(page, "live")
    page.locator("#snapshot summary", has_text="rows").click()
    page.locator("#snapshot .tree-rest button", has_text="400 more").click()
    page.locator("#snapshot .tree-rest button", has_text="300 more").wait_for()
    page.locator(".artifact summary", has_text="notes.md").click()
    page.locator(".artifact-look", has_text="# Notes").wait_for()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save").click()
    assert "notes.md" == saved.value.suggested_filename
    items.step(claim, {"plan": ["c"], "rows": list(range(500))})
    page.locator("#snapshot", has_text="version 2").wait_for()
    page.locator("#snapshot details[data-at='/rows'][open]").wait_for()


def test_five_megabytes_come_after_the_page(console, items, eyes):
    """The rest of the page is there before; the tree then comes by itself."""
    items.new("w-1")
    claim = items.claim("w-1")
    items.step(claim, {"rows": [{"n": n, "text": "word " * 50} for n in range(18_000)]})
    page = opened(eyes, console, "/work/w-1")
    page.locator("#snapshot summary", has_text="18,000 items").click()
    page.locator("#snapshot .tree-rest button", has_text="17,900 more").wait_for()


def test_hostile_work_does_nothing(console, items, eyes):
    """Payload, data, errors, artifacts and people's reasons: shown, and harmless."""
    items.new("w-1", {HOSTILE: HOSTILE}, title="<b>bold</b>")
    claim = items.claim("w-1")
    art = items.artifact("w-1", HOSTILE.encode(), ext="svg", name="<b>.svg")
    items.step(claim, {HOSTILE: HOSTILE, "long": HOSTILE * 5_000}, [art])
    items.fail(claim, HOSTILE, HOSTILE)
    page = opened(eyes, console, "/work/w-1")
    page.locator(".artifact summary", has_text="<b>.svg").click()
    page.locator(".artifact-look", has_text="<script>alert(1)</script>").wait_for()
    closed = page.locator("#main details:not([open], .menu) > summary:visible")
    for summary in closed.element_handles():
        summary.click()
    text = page.locator("#main").inner_text()
    assert "<script>alert(1)</script>" in text
    assert "\u202e" not in text
    assert 0 == page.locator("#main script, #main img").count()


def test_nobody_is_shut_out(console, items, eyes):
    """Axe finds nothing, nor does the page scroll sideways: the picture does, within itself."""
    lively(items)
    items.new("w-2", {"a": 1}, deadline_seconds=600)
    claim = items.claim("w-2")
    items.step(claim, {"a": 1})
    items.fail(claim, "429 Too Many Requests", TRACEBACK)
    page = opened(eyes, console, "/work/w-2")
    for path in ("/work/w-2", "/work/w-1", "/work/w-1/snapshot", "/work/w-1/life"):
        page.goto(f"{console.origin}{path}")
        seen_by_all(page, path)
    for theme, width, is_wider in (("light", 1280, False), ("dark", 390, True)):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{console.origin}/work/w-2")
        page.get_by_role("button", name="Retry").first.click()
        assert [] == judged(page)
        scroll = page.locator(".timeline-scroll")
        inner = scroll.evaluate("one => one.scrollWidth - one.clientWidth")
        assert is_wider == (inner > 0)


def test_by_keyboard_alone(console, items, eyes):
    """`.` opens the verbs that fit; arrows, Enter and typing do the rest."""
    items.new("w-1")
    items.roost.work("w-1").bury()
    page = opened(eyes, console, "/work/w-1")
    stands(page, "live")
    page.keyboard.press(".")
    page.locator(".menu-item[data-opens=verb-retry]:focus").wait_for()
    page.keyboard.press("ArrowDown")
    page.locator(".menu-item[data-opens=verb-drop]:focus").wait_for()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.locator("#verb-retry").wait_for()
    page.locator("#verb-retry :focus").wait_for()
    page.locator("#verb-retry [name=attempts]").focus()
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    badge(page, "queued")
    assert 9 == items.roost.work("w-1").row().meta.max_attempts


def test_progress_is_shown_without_an_event(console, items, eyes):
    """A heartbeat is no event: the page looks again by itself while the work runs."""
    claim = lively(items)
    page = opened(eyes, console, "/work/w-1")
    stands(page, "live")
    items.beat(claim, Heartbeat(0.42, "page 14 of 30 \x1b[31m"))
    page.locator(".why .progress", has_text="42% page 14 of 30").wait_for()
