"""What people come to the console for, from the first page to the last, over a queue that works."""

from __future__ import annotations

import pytest

from roost_core.models import State
from tests.browser.test_item import badge
from tests.browser.test_live import settled, stands

NOT_LOADED = "window.isFromBefore === true"


def stays(page):
    """Mark a page, to tell later that it was never loaded again; return when it is settled."""
    settled(page)
    page.evaluate("window.isFromBefore = true")
    return page


def row(page, work_id, text):
    """Wait until a row of the list says how the work stands."""
    page.locator(f"[data-row='{work_id}'] .badge", has_text=text).wait_for()


def submit(page):
    """Go ahead with the dialog that is open."""
    page.locator("dialog[open] .dialog-foot button:not([type=button])").click()


@pytest.fixture
def work(scene, request):
    """Give the test an id, and end what it leaves."""
    work_id = request.node.name.removeprefix("test_").replace("_", "-")[:40]
    yield work_id
    scene.ends(work_id)


def test_from_queued_to_done_on_its_page_and_in_the_list(scene, eyes, work):
    """Each step of its life is there by itself, in both tabs, in the titles and on the icons."""
    engine = scene.roost.engine("gated")
    engine.hold(reason="to see it queued")
    scene.new(work, steps=2, title="Find the cause")
    context = scene.signed_in(eyes)
    listed = stays(scene.tab(context, "/work"))
    page = stays(scene.tab(context, f"/work/{work}"))
    badge(page, "queued")
    page.locator(".why", has_text="to see it queued").wait_for()
    row(listed, work, "queued")
    engine.release()
    badge(page, "running")
    row(listed, work, "running")
    scene.let(work, 1)
    page.locator(".item-line", has_text="version 2, “part-1”").wait_for()
    page.locator("#snapshot", has_text="version 2").wait_for()
    scene.let(work, 2)
    badge(page, "done")
    row(listed, work, "done")
    page.locator("#snapshot", has_text="it is the result").wait_for()
    page.locator("link[rel=icon][href*=favicon-done]").wait_for(state="attached")
    assert page.title() == f"{work} · done · Roost"
    for one in (page, listed):
        assert one.evaluate(NOT_LOADED)


def test_a_group_of_dead_letters_is_retried_from_the_overview(scene, eyes):
    """The preview changes nothing and names them; then they are done, and no others."""
    told = "429 Too Many Requests: the quota of the crawler is used up"
    those = [scene.failed(f"quota-{n}", told, title=f"Crawl {n}") for n in range(3)]
    other = scene.failed("quota-other", "the disk is full")
    page = scene.page(eyes)
    group = page.locator("#needs .matter", has_text="429 Too Many Requests")
    assert group.locator(".matter-number").inner_text() == "3"
    group.get_by_role("link", name="Preview retry of 3").click()
    page.locator("h1", has_text="3").wait_for()
    firsts = page.locator(".firsts")
    for work_id in those:
        assert firsts.get_by_text(work_id, exact=True).is_visible()
    assert other not in page.locator("#main").inner_text()
    assert "roost retry state:failed 'error:#" in page.locator("#main").inner_text()
    assert {scene.roost.work(one).row().meta.state for one in those} == {State.FAILED}
    page.get_by_label("Reason").fill("the quota was raised")
    page.get_by_role("button", name="Retry 3").click()
    page.locator(".outcomes", has_text="3 done").wait_for()
    for work_id in those:
        scene.comes_to(work_id, State.DONE)
    assert scene.roost.work(other).row().meta.state is State.FAILED
    page.goto(scene.console.origin)
    page.locator("#needs .matter", has_text="the disk is full").wait_for()
    assert page.locator("#needs .matter", has_text="429 Too Many Requests").count() == 0
    retried = [one for one in scene.roost.work(those[0]).events() if one.kind == "retried"]
    assert "the quota was raised" in str(retried[0].data)


def test_pause_is_requested_then_confirmed_then_resumed(scene, eyes, work):
    """`Pausing` is never called paused; resumed, it continues from where it was."""
    scene.new(work, steps=2)
    page = stays(scene.page(eyes, f"/work/{work}"))
    badge(page, "running")
    page.get_by_role("button", name="Pause", exact=True).first.click()
    submit(page)
    badge(page, "running (pausing, after this step)")
    assert page.title().startswith(f"{work} · running (pausing")
    assert page.locator("h1 .badge", has_text="paused").count() == 0
    scene.let(work, 1)
    badge(page, "paused")
    assert "(" not in page.locator("h1 .badge").inner_text()
    page.get_by_role("button", name="Resume", exact=True).first.click()
    submit(page)
    badge(page, "running")
    scene.let(work, 2)
    badge(page, "done")
    page.locator(".item-line", has_text="version 3").wait_for()


def test_a_running_step_is_cancelled_from_the_list(scene, eyes, work):
    """By the row's menu and the preview: requested is told as such, and then it is cancelled."""
    scene.new(work)
    context = scene.signed_in(eyes)
    listed = stays(scene.tab(context, "/work?q=engine:gated"))
    row(listed, work, "running")
    page = scene.tab(context, "/work?q=engine:gated")
    menu = page.locator(f"[data-row='{work}'] [data-menu]")
    menu.locator("summary").click()
    menu.get_by_role("link", name="Cancel…").click()
    assert scene.roost.work(work).row().meta.wish is None
    page.get_by_role("button", name="Cancel 1").click()
    outcome = page.locator(".outcomes")
    outcome.get_by_text("requested, after their step").wait_for()
    row(listed, work, "cancelled")
    assert listed.evaluate(NOT_LOADED)


def test_ten_tabs_of_ten_kinds_stay_live(scene, eyes, work):
    """A browser opens six connections to a host: the eleventh tab loads, and all of them follow."""
    scene.new(work, title="before")
    context = scene.signed_in(eyes)
    first = stays(scene.tab(context, f"/work/{work}"))
    paths = scene.places(first)
    paths = [*paths, f"/work/{work}", f"/events?work={work}", "/work?q=engine:gated", *paths][:10]
    tabs = [stays(scene.tab(context, path)) for path in paths]
    badge(first, "running")
    at = {page: page.locator("#main").get_attribute("data-now") for page in tabs}
    scene.let(work)
    for page in tabs:
        page.bring_to_front()
        if page.locator("#main").get_attribute("data-live") != "none":
            page.locator(f"#main:not([data-now='{at[page]}'])").wait_for()
            stands(page, "live")
        assert page.evaluate(NOT_LOADED)
    first.bring_to_front()
    badge(first, "done")
    last = scene.tab(context, "/work")
    row(last, work, "done")


@pytest.mark.parametrize("listening", ["shared", "another tab", "alone"])
def test_what_happens_while_a_page_loads_is_not_missed(scene, eyes, listening):
    """After it was read, and before it listens: it is shown anyway, and not called live."""
    work = f"loading-{listening[:2]}"
    scene.new(work)
    context = scene.signed_in(eyes)
    if listening == "another tab":
        stands(scene.tab(context, "/resources"), "live")
    page = context.new_page()
    if listening == "alone":
        page.add_init_script("delete window.SharedWorker")

    def meanwhile(route):
        scene.let(work)
        scene.comes_to(work, State.DONE)
        route.continue_()

    scene.comes_to(work, State.RUNNING)
    page.route("**/js/main.js*", meanwhile)
    page.goto(f"{scene.console.origin}/work?q={work}")
    row(page, work, "done")


def test_find_a_failed_item_read_its_error_and_retry_it_by_keyboard(scene, eyes):
    """From the overview to the item at work again, and no hand on a mouse."""
    work = scene.failed("teapot", "418 I am a teapot, and short", title="Brew it")
    scene.failed("kettle", "the kettle is cold")
    page = scene.page(eyes)
    stands(page, "live")
    press = page.keyboard.press
    press("/")
    page.keyboard.type("state:failed error:teapot")
    press("Enter")
    page.wait_for_url("**/work?q=*")
    stands(page, "live")
    press("j")
    page.locator(f"[data-row='{work}']:focus").wait_for()
    press("j")
    press("Enter")
    page.wait_for_url(f"**/work/{work}*")
    stands(page, "live")
    assert page.locator("#errors", has_text="418 I am a teapot, and short").is_visible()
    assert page.locator("#errors details[open]").count() == 1
    press(".")
    page.locator(".menu-item[data-opens=verb-retry]:focus").wait_for()
    press("Enter")
    page.locator("#verb-retry :focus").wait_for()
    for _ in range(9):
        if page.evaluate("document.activeElement.name") == "reason":
            break
        press("Tab")
    page.keyboard.type("more water")
    press("Enter")
    badge(page, "done")
    assert page.locator(".happenings", has_text="more water").is_visible()
    stands(page, "live")
    press("g")
    press("o")
    page.wait_for_url(f"{scene.console.origin}/")


def test_a_verb_on_work_that_changed_meanwhile(scene, eyes):
    """What was seen is meant: nothing is done to what came of it since, and the page says so."""
    work = scene.failed("meanwhile", "the first error")
    page = scene.page(eyes, f"/work/{work}")
    stands(page, "live")
    page.get_by_role("button", name="Retry", exact=True).first.click()
    page.locator("#verb-retry").get_by_label("Reason").fill("I have read the first error")
    scene.let(work, error="the second error")
    scene.roost.work(work).retry()
    page.locator("#errors", has_text="the second error").wait_for()
    submit(page)
    page.locator(".told", has_text="changed").wait_for()
    badge(page, "failed")
    kinds = [one.kind for one in scene.roost.work(work).events()]
    assert kinds.count("retried") == 1


def test_many_of_which_one_changed_meanwhile(scene, eyes):
    """It is left alone and counted; the others are done."""
    told = "the certificate has expired"
    those = [scene.failed(f"expired-{n}", told) for n in range(3)]
    page = scene.page(eyes, "/failed")
    letter = page.locator(".letter", has_text=told)
    letter.get_by_role("link", name="Preview retry of 3").click()
    button = page.get_by_role("button", name="Retry 3")
    button.wait_for()
    scene.let(those[0], error="the certificate is unknown")
    scene.roost.work(those[0]).retry()
    scene.comes_to(those[0], State.FAILED)
    button.click()
    outcomes = page.locator(".outcomes")
    outcomes.get_by_text("left alone: changed meanwhile").wait_for()
    assert " ".join(outcomes.inner_text().split()) == "2 done 1 left alone: changed meanwhile"
    for work_id in those[1:]:
        scene.comes_to(work_id, State.DONE)
    assert scene.roost.work(those[0]).row().meta.state is State.FAILED
