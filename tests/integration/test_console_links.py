"""Every link of the console leads to a page, and that page has understood it."""

from __future__ import annotations

import re
from collections import deque
from html import unescape

import pytest

from tests.integration.item_bench import items_on
from tests.integration.redis_bench import settings_for

#: More pages than these are not visited.
MOST = 300
#: A name that says something else in a URL, in a query and in HTML.
GPU = "gpu/0?a=1&b='c'#:<d>"


@pytest.fixture
def items(redis_server, tmp_path):
    """Give a console and a queue."""
    with items_on(settings_for(redis_server, home=tmp_path)) as found:
        yield found


def links(page):
    """Return where the links of a page lead to within the console."""
    found = re.findall(r'<a [^>]*href="(/[^"]*)"', page)
    return {unescape(one).partition("#")[0] for one in found if not one.startswith("/static/")}


def test_every_link_leads_to_a_page(items):
    """From the first page on, over work in several states, with labels, resources and errors."""
    items.new("holds", resources=(GPU,), labels={"team": "search"}, title="The first")
    claim = items.claim("holds")
    items.new("waits", resources=(GPU,), labels={"team": "a:b+c@d"}, priority=3)
    items.new("dead")
    items.roost.work("dead").bury(reason="nobody needs it")
    items.new("rests")
    items.roost.work("rests").pause()
    items.step(claim, {"page": 1})
    items.roost.engine("none").hold(reason="a moment")
    to_visit, seen, broken = deque(["/"]), {"/"}, {}
    while to_visit and len(seen) < MOST:
        path = to_visit.popleft()
        found = items.site.get(path)
        is_page = found.headers.get("content-type", "").startswith("text/html")
        if found.status not in (200, 303) or 'id="query-problem"' in found.text:
            broken[path] = found.status
        for one in links(found.text) - seen if is_page else ():
            seen.add(one)
            to_visit.append(one)
    assert {} == broken
    assert {"/work/holds", "/work/waits", "/resources", "/doctor"} <= seen
    assert any(one.startswith("/work?q=") for one in seen)
