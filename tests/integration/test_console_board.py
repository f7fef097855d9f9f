"""The overview, the workers and the resources over HTTP, and engines held and released."""

from __future__ import annotations

import re

import pytest

from roost_core import SyncRoost, hookimpl
from roost_core.errors import PermanentError
from roost_plugins.console import sharing
from tests.consoles import console_here, plugins_of
from tests.integration.redis_bench import Crew, calls, eventually, queue, settings_for

pytestmark = pytest.mark.usefixtures("redis_server")


class Failing:
    """Fails each step for good."""

    engine_id = "failing"

    @hookimpl
    async def step(self, snapshot, item):
        """Fail."""
        raise PermanentError("<script>alert(1)</script> \u202e no such customer")


def title(reply):
    """Return the title of a page."""
    found = re.search(r"<title>(.*?)</title>", reply.text, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def settings(redis_server):
    """Give settings with a namespace of their own."""
    return settings_for(redis_server)


@pytest.fixture
def site(settings):
    """Give a signed-in console."""
    with console_here(settings) as found:
        yield found.sign_in()


@pytest.fixture
def roost(settings):
    """Give a connection beside the console's."""
    with SyncRoost.connect(settings, plugins=plugins_of()) as found:
        yield found


def test_nothing_yet_says_how_to_begin(site):
    """The very commands to type, on each page."""
    for path, command in (
        ("/", "roost new my_agent"),
        ("/workers", "roost worker"),
        ("/resources", "--resource NAME"),
    ):
        found = site.get(path)
        assert 200 == found.status
        assert command in found.text
    assert "Begin · Roost" == title(site.get("/"))


def test_work_that_nobody_offers_needs_a_person(site, roost):
    """Title, icon and first line say so, and the command that mends it stands there."""
    for _ in range(3):
        roost.enqueue("nobody", {}, any_engine=True)
    found = site.get("/")
    assert "(1) 1 thing needs you · Roost" == title(found)
    assert "favicon-alert" in re.search(r'<link rel="icon"[^>]*href="([^"]+)"', found.text)[1]
    assert "3 cannot run" in found.text
    assert "roost worker --plugin PATH --engines nobody" in found.text


async def test_dead_letters_by_error(redis_server):
    """Grouped, with a way to the previewed retry, and harmless."""
    settings = settings_for(redis_server)
    async with queue(settings, Failing()) as queued, Crew(settings, Failing()) as crew:
        await crew.start()
        for _ in range(3):
            await queued.enqueue("failing", {})

        async def failed():
            return 3 == sum(one.count for one in (await queued.overview()).failures)

        await eventually(failed)
        found = await queued.overview()
        with console_here(settings) as console:
            shown = console.sign_in().get("/")
            workers = console.get("/workers")
    (group,) = found.failures
    assert "(1) 1 thing needs you · Roost" == title(shown)
    assert "<script>alert" not in shown.text
    assert "\u202e" not in shown.text
    assert "Preview retry of 3" in shown.text
    address = f"/act/retry?q=state%3Afailed%20error%3A%23{group.fingerprint}"
    assert address in shown.text
    assert "1 worker · Roost" == title(workers)


def test_an_engine_is_held_and_released(site, roost):
    """From the page, with who did it and why; the page says what came of it."""
    roost.enqueue("crawl", {}, any_engine=True)
    page = site.get("/workers").text
    assert 'action="/engines/crawl/hold"' in page
    assert "roost pause --engine crawl" in page
    answer = site.post("/engines/crawl/hold", b"reason=the+vendor+is+down&back=workers")
    assert 303 == answer.status
    assert "Engine crawl is held" in site.get(answer.headers["location"]).text
    (held,) = roost.held_engines()
    assert ("crawl", "console", "the vendor is down") == (
        held.engine,
        held.actor.tool,
        held.actor.reason,
    )
    shown = site.get("/").text
    assert 'action="/engines/crawl/release"' in shown
    assert "roost resume --engine crawl" in shown
    again = site.post("/engines/crawl/hold", b"back=overview")
    assert again.headers["location"].startswith("/?said=")
    assert "was held already" in site.get(again.headers["location"]).text
    assert 303 == site.post("/engines/crawl/release").status
    assert [] == list(roost.held_engines())
    kinds = [one.kind for one in roost.events() if one.kind.startswith("engine_")]
    assert ["engine_held", "engine_released"] == kinds


def test_what_is_wrong_with_an_order_is_said(site, roost):
    """Nothing is done, and nothing breaks."""
    answer = site.post("/engines/NO%20ENGINE/hold")
    assert "Nothing was done" in site.get(answer.headers["location"]).text
    answer = site.post("/engines/crawl/hold", b"reason=" + b"x" * 300)
    assert "Nothing was done" in site.get(answer.headers["location"]).text
    assert 404 == site.post("/engines/crawl/sell").status
    assert [] == list(roost.held_engines())


def test_reading_only(settings, roost):
    """No button that would be refused, only the commands; and it is refused."""
    roost.enqueue("crawl", {}, any_engine=True)
    roost.engine("crawl").hold()
    with console_here(settings, read_only=True) as console:
        site = console.sign_in()
        for path in ("/", "/workers"):
            found = site.get(path).text
            assert 'method="post"' not in found
            assert "/engines/crawl/release" not in found
            assert "roost resume --engine crawl" in found
        assert 403 == site.post("/engines/crawl/release").status
    assert ["crawl"] == [one.engine for one in roost.held_engines()]


@pytest.mark.parametrize("path", ["/", "/workers", "/resources"])
async def test_as_many_round_trips_however_much_there_is(redis_server, path, monkeypatch):
    """Four scripts, sent together."""
    monkeypatch.setattr(sharing, "SHARED_SECONDS", 0)
    settings = settings_for(redis_server)
    async with queue(settings) as queued:
        with console_here(settings) as console:
            site = console.sign_in()
            site.get(path)
            for n in range(40):
                await queued.enqueue(f"engine{n % 7}", {}, any_engine=True, resources=[f"r{n % 5}"])
            before = await calls(queued)
            assert 200 == site.get(path).status
            found = await calls(queued) - before
    assert 4 == found["evalsha"]
    assert [] == [one for one in ("zadd", "hset", "xadd") if found[one]]


def test_the_plugins_are_shown(site):
    """What each adds, and what is set; no secret, and no server is asked."""
    found = site.get("/plugins")
    assert 200 == found.status
    assert "register_commands" in found.text
    assert "ROOST_CONSOLE_TOKEN" in found.text
    assert site.token not in found.text


def test_the_doctor_is_asked(site, roost):
    """Nothing is examined before; then what was found stands there with its time."""
    roost.enqueue("nobody", {}, any_engine=True)
    assert "Not run yet" in site.get("/doctor").text
    answer = site.get("/doctor/run")
    assert (303, "/doctor") == (answer.status, answer.headers["location"])
    found = site.get("/doctor").text
    assert "work is queued for the engine nobody" in found
    assert 'data-copy="roost worker --plugin PATH --engines nobody"' in found
    assert 'data-live="none"' in found
    roost.work(roost.list()[0].meta.work_id).cancel()
    assert "work is queued for the engine nobody" in site.get("/doctor").text


def test_the_doctor_of_a_console_that_only_looks(settings):
    """To ask changes nothing, so it is allowed."""
    with console_here(settings, read_only=True) as console:
        site = console.sign_in()
        assert 303 == site.get("/doctor/run").status
        assert "In order" in site.get("/doctor").text
