"""Work with a long history and much state opens as small work does."""

from __future__ import annotations

import pytest

from roost_core.models import State
from tests.browser.test_live import stands

#: How many times the most that a page of large work may be of that of small work.
TIMES = 8


@pytest.fixture(scope="module")
def both(scene):
    """Give small work, and work of 2,000 steps that end with 5 MB."""
    for work_id, steps, rows in (("small", 2, 3), ("large", 2_000, 18_000)):
        payload = {"steps": steps, "rows": rows}
        scene.roost.enqueue("busy", payload, work_id=work_id, any_engine=True)
        scene.comes_to(work_id, State.DONE)
    return scene


def test_it_opens_without_freezing(both, eyes):
    """What it is made of stays few; it is there, and a key is answered, about as soon."""
    page = both.page(eyes)
    took, made = {}, {}
    for work_id in ("small", "large", "small", "large", "small", "large"):
        page.goto(f"{both.console.origin}/work/{work_id}")
        stands(page, "live")
        page.locator("#snapshot summary", has_text="rows").wait_for()
        page.keyboard.press("?")
        page.get_by_role("dialog", name="Keys").wait_for()
        now = page.evaluate("performance.now()")
        took[work_id] = min(took.get(work_id, now), now)
        made[work_id] = page.locator("*").count()
    assert made["large"] < TIMES * made["small"]
    assert took["large"] < TIMES * took["small"]
