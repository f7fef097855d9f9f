"""Everything by the keyboard alone."""

from __future__ import annotations

import pytest


@pytest.fixture
def page(kit, eyes):
    """Give the kit's page."""
    found = eyes.page()
    found.goto(f"{kit.url}/work")
    found.locator("#live[data-kept-state=live]").wait_for()
    return found


def current(page) -> str:
    """Return the row that has the focus."""
    return page.evaluate("document.activeElement.dataset.row ?? ''")


def test_search(page):
    """The box is a key away, and Escape leaves it."""
    page.keyboard.press("/")
    page.keyboard.type("state:failed j")
    assert "state:failed j" == page.get_by_role("searchbox").input_value()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")


def test_rows(page):
    """Down, down, up; the first stays the first."""
    rows = page.locator("[data-row]").evaluate_all("all => all.map((one) => one.dataset.row)")
    for key, place in (("j", 0), ("j", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        assert rows[place] == current(page)
    assert 1 == page.locator("[data-kept-current]").count()


def test_a_row_is_opened(page):
    """Enter follows the row's link."""
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/events")


def test_rows_are_selected(page):
    """The bar says how many, and Escape lets go of them."""
    bar = page.locator("[data-bulk]")
    assert not bar.is_visible()
    for key in "jxjx":
        page.keyboard.press(key)
    assert bar.is_visible()
    assert "2" == page.locator("[data-bulk-count]").inner_text()
    page.keyboard.press("Escape")
    assert not bar.is_visible()


def test_a_range_of_rows_is_selected(page):
    """Shift and a click select all between."""
    page.locator("[data-row='scout-001'] [data-pick]").click()
    page.locator("[data-row='scout-004'] [data-pick]").click(modifiers=["Shift"])
    assert "4" == page.locator("[data-bulk-count]").inner_text()


def test_actions_of_a_row_and_of_the_page(page):
    """A full stop opens what can be done; arrows choose; Escape goes back to where one was."""
    page.keyboard.press(".")
    assert "Cancel" in page.evaluate("document.activeElement.innerText")
    page.keyboard.press("ArrowDown")
    assert "Pause" in page.evaluate("document.activeElement.innerText")
    page.keyboard.press("Escape")
    assert 0 == page.locator("[data-menu][open]").count()
    page.keyboard.press("j")
    page.keyboard.press(".")
    assert 1 == page.locator("[data-row] [data-menu][open]").count()
    page.keyboard.press("Enter")
    page.locator("#ask[open]").wait_for()
    page.get_by_role("button", name="Retry 7", exact=True).click()
    page.get_by_text("in each of its variants. sent").wait_for()


def test_pages(page):
    """Two keys go to each page of the navigation."""
    # The second keys mean something else when they stand alone.
    for key, path in (("e", "/events"), ("w", "/work"), ("k", "/workers"), ("p", "/plugins")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**{path}")
        page.locator("#live").wait_for(state="attached")


def test_help(page):
    """A question mark shows all keys; letters do nothing behind it."""
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("j")
    assert "" == current(page)
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog", name="Keys").is_visible()


def test_a_verb_with_its_reason(page):
    """A dialog is opened, filled in and sent without a mouse."""
    page.get_by_role("button", name="Retry 7…").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    while not page.evaluate("document.activeElement.matches('[name=reason]')"):
        page.keyboard.press("Tab")
    page.keyboard.type("because j and k are letters")
    page.keyboard.press("Enter")
    page.get_by_text("variants. because j and k are letters").wait_for()


def test_the_focus_is_always_seen(page):
    """Whatever has it shows an outline."""
    for _ in range(25):
        page.keyboard.press("Tab")
        look = page.evaluate(
            """() => {
                const { outlineStyle, boxShadow } = getComputedStyle(document.activeElement);
                return [outlineStyle, boxShadow];
            }"""
        )
        assert look != ["none", "none"]


def test_the_page_can_be_skipped_to(page):
    """The first stop leads past the navigation."""
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert "main" == page.evaluate("document.activeElement.id")


def test_on_a_telephone_the_menu_opens(kit, eyes):
    """The navigation is a sheet there."""
    page = eyes.page(viewport={"width": 390, "height": 844}, has_touch=True)
    page.goto(f"{kit.url}/work")
    link = page.locator("#side a", has_text="Dead letters")
    assert not link.is_visible()
    page.get_by_role("button", name="Menu").tap()
    link.tap()
    page.wait_for_url("**/failed")
