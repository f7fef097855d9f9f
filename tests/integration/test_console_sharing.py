"""The overview is read once for all who ask within about a second, and never too old."""

from __future__ import annotations

import contextlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from urllib.parse import urlencode

import pytest
import redis

from roost_core import SyncRoost
from roost_core.client.requests import EnqueueRequest
from tests.consoles import Stream, console_here, plugins_of
from tests.integration.cli_bench import until
from tests.integration.redis_bench import settings_for
from tests.servers import need, redis_binary, server_in

#: All that show the overview, or a part of it.
PATHS = ("/", "/workers", "/resources", "/api/v1/overview", "/api/v1/resources")
#: The scripts that it is read with.
SCRIPTS = 4


class Queue:
    """A console of a server of its own, a connection beside it, and what the server was asked."""

    def __init__(self, site, roost, server):
        self.site, self.roost, self.server = site, roost, server

    def scripts(self):
        """Return how many scripts were called so far."""
        with redis.Redis.from_url(self.server.url) as client:
            found = client.info("commandstats")
        return found.get("cmdstat_evalsha", {"calls": 0})["calls"]

    def counts(self):
        """Return how much work is in each state, as the console tells it."""
        reply = self.site.get("/api/v1/overview", Accept="application/json")
        assert 200 == reply.status
        return {state: count for state, count in reply.json["counts"].items() if count}


@pytest.fixture
def found(server_root):
    """Give a console whose server nobody else asks anything."""
    with server_in(need(redis_binary(), "redis-server"), server_root / "s") as server:
        settings = settings_for(server)
        with (
            SyncRoost.connect(settings, plugins=plugins_of()) as roost,
            console_here(settings) as site,
        ):
            yield Queue(site.sign_in(), roost, server)


def within_a_second(queue, ask):
    """Ask until all of it took less than half a second; return how many scripts it called."""
    while True:
        time.sleep(1.1)  # what was read before is too old
        before, began = queue.scripts(), time.monotonic()
        ask()
        if time.monotonic() - began < 0.5:
            return queue.scripts() - before


def test_it_is_read_once_for_all(found):
    """Pages and the API, one after the other and at once."""
    paths = PATHS * 2
    for path in PATHS:
        assert 200 == found.site.get(path).status

    def in_turns():
        assert {200} == {found.site.get(path).status for path in paths}

    def at_once():
        with ThreadPoolExecutor(len(paths)) as pool:
            assert {200} == {one.status for one in pool.map(found.site.get, paths)}

    assert SCRIPTS == within_a_second(found, in_turns)
    assert SCRIPTS == within_a_second(found, at_once)


def test_nobody_looks_and_nothing_is_read(found):
    """It is not kept fresh for its own sake."""
    assert 200 == found.site.get("/").status
    before = found.scripts()
    time.sleep(2.5)
    assert before == found.scripts()


def test_who_acts_sees_what_came_of_it(found):
    """At once: by a form, by the API, by verbs on many, and elsewhere; followed or not."""
    ids = [found.roost.enqueue("none", any_engine=True).work_id for _ in range(8)]
    time.sleep(1.1)
    assert {"queued": 8} == found.counts()
    found.site.post(f"/work/{ids[0]}/cancel")
    assert {"queued": 7, "cancelled": 1} == found.counts()
    reply = found.site.post(f"/api/v1/work/{ids[1]}/cancel", b"{}", Content_Type="application/json")
    assert 200 == reply.status
    assert {"queued": 6, "cancelled": 2} == found.counts()
    found.roost.work(ids[2]).cancel()
    assert {"queued": 5, "cancelled": 3} == found.counts()
    with contextlib.closing(Stream(found.site)) as stream:
        stream.next("pulse")
        found.counts()
        found.roost.work(ids[3]).cancel()
        stream.until(lambda kind, data: kind == "happened" and data["work"] == ids[3])
        assert {"queued": 4, "cancelled": 4} == found.counts()


def test_verbs_on_many_are_seen(found):
    """Once their own page says that all is done, so does the overview; not older meanwhile."""
    found.roost.enqueue_many([EnqueueRequest(engine="none")] * 300, any_engine=True)
    time.sleep(1.1)
    page = found.site.get("/act/pause?q=state:queued").text
    fields = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page)
    form = urlencode([(name, unescape(value)) for name, value in fields]).encode()
    where = found.site.post("/act/pause", form).headers["location"]

    def has_ended():
        is_over = "data-poll" not in found.site.get(where.removeprefix(found.site.origin)).text
        paused = found.counts().get("paused", 0)
        assert not is_over or paused == 300
        return is_over

    until(has_ended, "the end of it")
