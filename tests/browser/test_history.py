"""The versions of a work item, how they differ, and a replay from one, as a person uses them."""

from __future__ import annotations

import pytest

from roost_core import SyncRoost
from roost_core.codec.strict_json import dumps
from tests.browser.test_item import HOSTILE, badge, opened
from tests.browser.test_kit import judged, seen_by_all
from tests.browser.test_live import settled, stands
from tests.consoles import plugins_of
from tests.integration.item_bench import Items

TYPED = "goal=compare three vendors\n/plan/-=decide"


def agent(items, work_id="w-1", versions=4):
    """Make work whose goal changes with its third version; return its lease."""
    items.new(work_id, title="Compare three vendors")
    claim = items.claim(work_id, 600_000)
    data = {"goal": "compare three vendors", "plan": ["search", "read"], "api_key": "hunter1"}
    for version in range(1, versions + 1):
        if version == 3:
            data = {**data, "goal": "book a flight", "api_key": "hunter2"}
        pages = [{"role": "tool", "content": f"page {n} " * 60} for n in range(version)]
        items.step(claim, {**data, "messages": pages, "usage": {"total_tokens": 900 * version}})
    return claim


def preview(page, **typed):
    """Fill the form in, and look what it would come to."""
    for name, text in typed.items():
        page.locator(f"[name={name}]").fill(text)
    page.get_by_role("button", name="Preview").click()
    page.locator("#look").wait_for()


def hears(page):
    """Wait until a page hears keys."""
    page.locator("#live[data-kept-state=live]").wait_for(state="attached")


def there(page, heading):
    """Wait for a page, and until it hears keys."""
    page.get_by_role("heading", name=heading).wait_for()
    hears(page)


def again(page):
    """Let the page be read again, as when the tab is seen again."""
    hears(page)
    with page.expect_response(lambda answer: "/replay" in answer.url):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('roost:changed'))")


def test_from_the_history_to_a_fork(console, items, eyes):
    """Opened by a key, followed to a difference, edited, seen, begun; and back to its origin."""
    agent(items)
    page = opened(eyes, console, "/work/w-1")
    stands(page, "live")
    page.keyboard.press("h")
    page.locator("#row-v4").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.locator("#row-v3:focus").wait_for()
    page.keyboard.press("Enter")
    there(page, "What version 3 of w-1 changed")
    line = page.locator(".diff-line", has_text="/goal")
    assert "changed" in line.inner_text()
    assert "book a flight" in line.inner_text()
    assert "hunter" not in page.locator("#main").inner_text()
    page.locator(".diff-long summary").first.click()
    assert page.locator(".diff-long pre", has_text="page 2 page 2").first.is_visible()
    page.keyboard.press("p")
    there(page, "What version 2 of w-1 changed")
    page.keyboard.press("n")
    there(page, "What version 3 of w-1 changed")
    page.get_by_role("link", name="Replay from v2").click()
    preview(page, lines=TYPED, reason="wrong turn")
    look = page.locator("#look")
    assert "inserted" in look.locator(".diff-line", has_text="/plan/2").inner_text()
    assert "1,800 usage.total_tokens" in look.inner_text()
    assert "v3 read, v4 read" in look.inner_text()
    assert "-e 'goal=compare three vendors'" in look.locator(".command").inner_text()
    page.get_by_role("button", name="Start the fork").click()
    page.locator(".told", has_text="has begun with version 2 of w-1").wait_for()
    badge(page, "queued")
    assert page.locator("#snapshot", has_text="decide").is_visible()
    hears(page)
    page.keyboard.press("h")
    page.locator(".version-person").first.wait_for()
    assert "From version 2 down" in page.locator(".version-origin").inner_text()
    page.locator(".version-origin a").click()
    page.wait_for_url("**/work/w-1")
    hears(page)
    page.keyboard.press("h")
    page.locator("#row-v2 .version-fork a").wait_for()


def test_from_version_to_version(console, items, eyes):
    """By keys, as between differences; at either end there is nothing more."""
    agent(items)
    page = opened(eyes, console, "/work/w-1/version/2")
    there(page, "Version 2 of w-1")
    page.keyboard.press("n")
    there(page, "Version 3 of w-1")
    page.keyboard.press("p")
    there(page, "Version 2 of w-1")
    page.keyboard.press("p")
    there(page, "Version 1 of w-1")
    assert 0 == page.locator("[data-page=newer]").count()
    assert 1 == page.locator("[data-page=older]").count()


def test_in_place(console, items, eyes):
    """Put back with an edit; the page of the work says so, and it continues from there."""
    items.fail(agent(items), "429")
    page = opened(eyes, console, "/work/w-1/replay?from=2")
    page.get_by_text("In place", exact=True).click()
    preview(page, lines="/plan/0=ask")
    assert page.locator("#look", has_text="Version 2 becomes version 5").is_visible()
    page.get_by_role("button", name="Put it back").click()
    page.locator(".told", has_text="put back to version 2, as version 5").wait_for()
    badge(page, "queued")
    assert "ask" == items.roost.work("w-1").snapshot().data["plan"][0]


def test_back_from_what_has_begun(console, items, eyes):
    """The preview is there again, says that it has begun, and has no button for it."""
    eyes.expected += ("400",)
    items.fail(agent(items), "429")
    page = opened(eyes, console, "/work/w-1/replay?from=2")
    page.get_by_text("In place", exact=True).click()
    page.locator("[name=lines]").fill("goal")
    page.get_by_role("button", name="Preview").click()
    page.locator("#problem-lines").wait_for()
    preview(page, lines="/plan/0=ask")
    page.get_by_role("button", name="Put it back").click()
    page.locator(".told", has_text="as version 5").wait_for()
    page.go_back()
    page.locator(".told", has_text="has begun already").wait_for()
    assert "/plan/0=ask" == page.locator("[name=lines]").input_value()
    assert 0 == page.get_by_role("button", name="Put it back").count()
    page.go_back()
    page.locator("#problem-lines").wait_for()
    page.go_forward()
    preview(page)
    page.get_by_role("button", name="Put it back").wait_for()


def test_who_put_it_back(console, items, eyes):
    """On a telephone, too; the versions of its origin stand in the same columns."""
    items.fail(agent(items), "429")
    items.roost.work("w-1").replay(2, in_place=True)
    items.roost.work("w-1").replay(5, work_id="w-2")
    page = opened(eyes, console, "/work/w-1/history", viewport={"width": 400, "height": 800})
    row = page.locator("#row-v5")
    assert row.locator(".version-by").is_visible()
    assert "took" not in row.inner_text()
    assert 0 == page.locator("#row-v4 .version-by").count()
    page.set_viewport_size({"width": 1280, "height": 900})
    assert not row.locator(".version-by").is_visible()
    assert row.locator("td.rank-2 .version-person").is_visible()
    page.goto(f"{console.origin}/work/w-2/history")
    lefts = [
        page.locator(f"#row-v{version} td").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().left)"
        )
        for version in (6, 2)
    ]
    assert lefts[0] == lefts[1]


@pytest.mark.parametrize("how", ["fork", "in-place"])
def test_a_double_click_counts_once(console, items, eyes, how):
    """Both forms are sent, and the second finds what the first has done."""
    items.fail(agent(items), "429")
    page = opened(eyes, console, "/work/w-1/replay?from=2")
    page.locator(f"[value={how}]").check()
    preview(page, lines="/plan/0=ask")
    page.locator("#look .button-main").dblclick()
    page.locator(".told").wait_for()
    found = items.roost.work("w-1").status()
    assert (int(how == "fork"), 4 + (how == "in-place")) == (len(found.forks), found.meta.version)


def test_what_is_typed_stays(console, items, eyes):
    """After a mistake, a lost connection, and however often a page would be read again."""
    eyes.expected += ("400",)
    agent(items)
    page = opened(eyes, console, "/work/w-1/replay?from=2")
    settled(page)
    page.locator("[name=lines]").fill("goal")
    page.locator("[name=reason]").fill("because")
    again(page)
    assert "because" == page.locator("[name=reason]").input_value()
    page.get_by_role("button", name="Preview").click()
    problem = page.locator("#problem-lines")
    problem.wait_for()
    assert "is no assignment: write path=value" in problem.inner_text()
    assert "goal" == page.locator("[name=lines]").input_value()
    assert "because" == page.locator("[name=reason]").input_value()
    assert "problem-lines" == page.locator("[name=lines]").get_attribute("aria-describedby")
    preview(page, lines="goal=x")
    again(page)
    assert page.locator("#look").is_visible()


def test_it_grows_while_it_is_open(console, items, eyes):
    """What a reader has opened is read again once there is a newer version."""
    claim = agent(items)
    page = opened(eyes, console, "/work/w-1#history")
    stands(page, "live")
    page.locator("#row-v4").wait_for()
    page.locator("#row-v2").focus()
    items.step(claim, {"goal": "rest"})
    page.locator("#row-v5").wait_for()
    assert page.locator("#row-v2:focus").count()
    page.locator("[data-history]").click()
    items.step(claim, {"goal": "rest"})
    page.locator(".item-line", has_text="version 6").wait_for()
    assert 0 == page.locator("#row-v6").count()
    page.locator("[data-history]").click()
    page.locator("#row-v6 .tone-warn", has_text="nothing").wait_for()


def test_without_scripts(console, items, eyes):
    """Links and plain forms do all of it."""
    agent(items)
    page = opened(eyes, console, "/work/w-1", java_script_enabled=False)
    page.locator("[data-history]").click()
    page.get_by_role("link", name="All versions").click()
    page.get_by_role("link", name="What version 3 changed").click()
    page.locator("[name=from]").select_option("1")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Version 1 → 3 of w-1").wait_for()
    page.get_by_role("link", name="Replay from v1").click()
    preview(page, lines="goal=x")
    page.get_by_role("button", name="Start the fork").click()
    badge(page, "queued")


def test_a_thousand_versions(console, items, eyes):
    """A part of them is listed, and more when asked for; the page answers meanwhile."""
    settings = items.roost.settings.evolve(history_versions=2_000)
    with SyncRoost.connect(settings, plugins=plugins_of()) as roost:
        keeping = Items(console, roost)
        keeping.new("w-1")
        claim = keeping.claim("w-1", 600_000)
        for n in range(1_001):
            keeping.step(claim, {"n": n})
    page = opened(eyes, console, "/work/w-1")
    stands(page, "live")
    page.keyboard.press("h")
    page.locator("#row-v1001").wait_for()
    rows = page.locator(".versions [data-row]")
    assert 50 == rows.count()
    page.get_by_role("link", name="Up to 200 versions").click()
    page.locator("#row-v802").wait_for()
    with SyncRoost.connect(settings, plugins=plugins_of()) as roost:
        Items(console, roost, commits=2_000).step(claim, {"n": -1})
    page.locator("#row-v1002").wait_for()
    assert 200 == rows.count()
    page.get_by_role("link", name="Up to 1,000 versions").click()
    page.locator("#row-v3").wait_for()
    assert 1_000 == rows.count()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.goto(f"{console.origin}/work/w-1/diff")
    page.locator("[name=from]").fill("400")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Version 400 → 1002 of w-1").wait_for()


def test_a_stalled_agent(console, items, eyes):
    """The overview says since when, and leads to what differs, and to the history."""
    claim = agent(items)
    for _ in range(30):
        items.step(claim, {"goal": "wait"})
    warning = {"warning": "x", "steps": 30, "since_version": 5}
    items.step(claim, {"goal": "wait"}, events=[dumps(warning, "the event", 4096)])
    page = opened(eyes, console, "/")
    odd = page.locator("#odd")
    assert "nothing new since version 5" in odd.inner_text()
    odd.get_by_role("link", name="What differs since v5").click()
    page.get_by_role("heading", name="Version 5 → 35 of w-1").wait_for()
    assert page.get_by_text("The data is the same.").is_visible()
    page.go_back()
    odd.get_by_role("link", name="Its history").click()
    page.locator("#row-v35 .tone-warn", has_text="nothing").wait_for()


def test_hostile_versions_do_nothing(console, items, eyes):
    """Keys, values, labels of steps and ids that were typed: shown, and harmless."""
    eyes.expected += ("400", "404")
    items.new("w-1")
    claim = items.claim("w-1")
    items.step(claim, {HOSTILE: HOSTILE, "list": ["a"]})
    items.step(claim, {f"{HOSTILE}/": HOSTILE * 600, "list": ["a", {HOSTILE: HOSTILE}]})
    page = opened(eyes, console, "/work/w-1/history")
    for path in (
        "history", "diff", "diff?from=<script>alert(1)</script>", "version/1", "version/9",
        "replay?from=<img src=x onerror=alert(1)>",
    ):  # fmt: skip
        page.goto(f"{console.origin}/work/w-1/{path}")
        for summary in page.locator("#main details:not([open]) > summary").element_handles():
            summary.click()
        harmless(page)
    page.goto(f"{console.origin}/work/w-1/replay?from=1")
    preview(page, lines=f"x={HOSTILE}", reason="<b>bold</b>")
    harmless(page)
    page.get_by_role("button", name="Start the fork").click()
    badge(page, "queued")
    harmless(page)


def harmless(page):
    """Check that what strangers wrote is text, and nothing of it is hidden."""
    assert "\u202e" not in page.locator("#main").inner_text()
    assert 0 == page.locator("#main script, #main img").count()


def test_nobody_is_shut_out(console, items, eyes):
    """Axe finds nothing, in light and dark, wide and narrow; no page scrolls sideways."""
    eyes.expected += ("400", "404")
    agent(items)
    items.roost.work("w-1").replay(2, work_id="w-2")
    page = opened(eyes, console, "/work/w-1")
    for path in (
        "w-1/history",
        "w-2/history",
        "w-1/diff?from=1&to=4",
        "w-1/diff?from=9",
        "w-1/version/2",
    ):
        page.goto(f"{console.origin}/work/{path}")
        seen_by_all(page, path)
    page.goto(f"{console.origin}/work/w-1/replay?from=2")
    seen_by_all(page, "replay")
    preview(page, lines="goal=x\napi_key=y")
    seen_by_all(page, "preview")
    page.locator("[name=lines]").fill("x")
    page.get_by_role("button", name="Preview").click()
    page.locator("#problem-lines").wait_for()
    seen_by_all(page, "a mistake")
    page.goto(f"{console.origin}/work/w-1#history")
    page.locator("#row-v4").wait_for()
    assert [] == judged(page)
