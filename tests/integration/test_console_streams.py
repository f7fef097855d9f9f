"""Live streams over real HTTP: many at once, resumed, capped, freed and ended."""

from __future__ import annotations

import contextlib
import signal
import time

import pytest

from roost_core import SyncRoost
from tests.consoles import Stream, console_here, plugins_of, streams
from tests.integration.cli_bench import until
from tests.integration.console_bench import bench
from tests.integration.redis_bench import settings_for
from tests.servers import need, redis_binary, start_server

MANY = 50


def of(work_id):
    """Return whether a message is about a work item, or about too many to name them."""
    return lambda kind, data: kind == "happened" and data["work"] in (work_id, None)


@pytest.fixture
def console(redis_server, monkeypatch):
    """Give a console that allows fifty streams."""
    with bench(settings_for(redis_server), monkeypatch, streams=MANY) as found:
        yield found


def test_fifty_streams_and_pages(console):
    """All hear what happens, and pages answer meanwhile; one more stream is refused for now."""
    site = console.site
    with streams(site, MANY) as found:
        for one in found:
            assert "pulse" == one.next()[0]
        for path in ("/", "/work", "/static/favicon-calm.svg") * 10:
            assert 200 == site.get(path).status
        more = Stream(site)
        assert (503, "2") == (more.status, more.headers["retry-after"])
        more.close()
        item = console.roost.enqueue("none", any_engine=True)
        for one in found:
            data = one.until(of(item.work_id))
            assert ("none", "enqueued") == (data["engine"], data["kind"])
        # Those that have gone make room within seconds.
        for one in found[:10]:
            one.close()

        def has_room():
            with contextlib.closing(Stream(site)) as again:
                return again.status == 200

        until(has_room, "room for a stream")


def test_whoever_hangs_up_is_noticed(console):
    """Also where nothing happens: no thread is left to a stream without a reader."""
    site = console.site
    for _ in range(3 * MANY):
        until(lambda: opened(site), "room for a stream")
    assert 200 == site.get("/").status


def opened(site):
    """Open a stream and hang up; return whether there was room for it."""
    with contextlib.closing(Stream(site)) as stream:
        return stream.status == 200


def test_a_stream_resumes(console):
    """By the id that the browser has heard last, in the header or, for a new one, in the URL."""
    site = console.site
    first = Stream(site)
    first.next("pulse")
    heard = first.last_id
    first.close()
    missed = [console.roost.enqueue("none", any_engine=True).work_id for _ in range(3)]
    for again in (Stream(site, Last_Event_ID=heard), Stream(site, f"/live?after={heard}")):
        with contextlib.closing(again):
            assert missed == [again.next("happened")[1]["work"] for _ in missed]
            item = console.roost.enqueue("none", any_engine=True)
            again.until(of(item.work_id))
            missed.append(item.work_id)


def told_first(console, path, **headers):
    """Return of which work items a stream tells before it tells of a new one."""
    with contextlib.closing(Stream(console.site, path, **headers)) as stream:
        stream.next()  # it listens
        new = console.roost.enqueue("none", any_engine=True).work_id
        found = []
        while new not in found:
            found.append(stream.next("happened")[1]["work"])
        return found[:-1]


def test_a_new_page_says_when_it_was_read(console):
    """What has happened from then on comes first, whenever that was."""
    time.sleep(0.005)
    new = [console.roost.enqueue("none", any_engine=True).work_id for _ in range(3)]
    at = int(console.roost.events()[1].event_id.partition("-")[0])
    with contextlib.closing(Stream(console.site, f"/live?since={at}")) as stream:
        assert new == [stream.next("happened")[1]["work"] for _ in new]
    with contextlib.closing(Stream(console.site, "/live?since=0")) as stream:
        assert [console.work_id, *new] == [stream.next("happened")[1]["work"] for _ in range(4)]
        assert newest(console) == stream.last_id
    assert [] == told_first(console, f"/live?since={at + 600_000}")


def test_an_id_says_more_than_a_time(console):
    """In the header or the URL; it is the one that was heard last."""
    heard = newest(console)
    assert [] == told_first(console, f"/live?since=0&after={heard}")
    heard = newest(console)
    assert [] == told_first(console, "/live?since=0", Last_Event_ID=heard)


@pytest.mark.parametrize("since", ["", "-5", "now", "1e3", "9" * 16, "%C2%B2"])
def test_what_is_no_time_counts_for_nothing(console, since):
    """The stream tells what happens from now on."""
    assert [] == told_first(console, f"/live?since={since}")


@pytest.mark.parametrize("after", ["1-0", "99999999999999-0", "nonsense", "1-0%0Adata:%20x"])
def test_what_is_trimmed_is_told(console, after):
    """The events after this id are not there any more, or never were: read everything again."""
    with contextlib.closing(Stream(console.site, f"/live?after={after}")) as stream:
        assert ("trimmed", {}) == stream.next()
        position = stream.last_id
        assert position == console.roost.events()[-1].event_id
        item = console.roost.enqueue("none", any_engine=True)
        stream.until(of(item.work_id))


async def drop_old_events(roost):
    """Let the server drop all events but the newest."""
    key = roost.ledger.keys.key("events")
    await roost.ledger.client.xtrim(key, maxlen=1, approximate=False)


def test_events_that_the_server_has_dropped(console):
    """An id that was heard and is not there any more: trimmed. A page that was just read is not.

    It was read after they were dropped, so it shows what came of them.
    """
    heard = newest(console)
    for _ in range(5):
        last = console.roost.enqueue("none", any_engine=True).work_id
    console.roost.run(drop_old_events)
    for path, headers in ((f"/live?after={heard}", {}), ("/live", {"Last_Event_ID": heard})):
        with contextlib.closing(Stream(console.site, path, **headers)) as stream:
            assert ("trimmed", {}) == stream.next()
            assert newest(console) == stream.last_id
    with contextlib.closing(Stream(console.site, "/live?since=1")) as stream:
        assert last == stream.next("happened")[1]["work"]


def test_much_at_once_is_little_to_send(console):
    """Of hundreds of work items a page hears that much has happened, four times a second."""
    with contextlib.closing(Stream(console.site)) as stream:
        stream.next("pulse")
        began = time.monotonic()
        last = [console.roost.enqueue("none", any_engine=True) for _ in range(400)][-1].work_id
        messages = []
        while not messages or messages[-1].get("work") != last:
            messages.append(stream.next("happened")[1])
            if messages[-1]["work"] is None and stream.last_id == newest(console):
                break
        seconds = time.monotonic() - began
        assert len(messages) <= 50 * (4 * seconds + 2)


def newest(console):
    """Return the id of the newest event."""
    return console.roost.events(limit=1)[-1].event_id


def test_the_end_ends_all_streams(redis_server, monkeypatch):
    """At once, whatever their heartbeat is: none is cut in the middle of a message."""
    with contextlib.ExitStack() as stack:
        with bench(settings_for(redis_server), monkeypatch, streams=MANY) as console:
            found = stack.enter_context(streams(console.site, MANY))
            for one in found:
                one.next("pulse")
            began = time.monotonic()
        assert time.monotonic() - began < 20  # only a hang takes this long
        assert all(one.ends() for one in found)


def test_a_lost_server_and_its_return(server_root, monkeypatch):
    """The stream tells of both; pages say what is wrong, and are back by themselves."""
    binary = need(redis_binary(), "redis-server")
    folder = server_root / "console-lost"
    options = ("--appendonly", "yes", "--appendfsync", "always")
    server = start_server(binary, folder, *options)
    try:
        with bench(settings_for(server), monkeypatch) as console:
            site = console.site
            stream = Stream(site)
            stream.next("pulse")
            server.kill()
            assert "gone" == stream.next("gone", "back")[0]
            assert stream.next("pulse")[1]["age"] > 0
            page = site.get("/")
            assert (503, "2") == (page.status, page.headers["retry-after"])
            assert "The server does not answer" in page.text
            late = Stream(site)
            assert "gone" == late.next("gone", "back", "happened")[0]
            server = start_server(binary, folder, *options)
            for one in (stream, late):
                assert "back" == one.next("back", "happened")[0]
            until(lambda: site.get("/").status == 200, "the page")
            item = console.roost.enqueue("none", any_engine=True)
            for one in (stream, late):
                one.until(of(item.work_id))
                one.close()
    finally:
        server.kill()


def test_a_server_that_says_nothing(server_root, monkeypatch):
    """It keeps its connections, so that only a clock that is asked for tells."""
    binary = need(redis_binary(), "redis-server")
    server = start_server(binary, server_root / "console-silent")
    try:
        with (
            bench(settings_for(server), monkeypatch) as console,
            contextlib.closing(Stream(console.site)) as stream,
        ):
            stream.next("pulse")
            server.process.send_signal(signal.SIGSTOP)
            try:
                assert "gone" == stream.next("gone", "happened")[0]
                assert 503 == console.site.get("/").status
            finally:
                server.process.send_signal(signal.SIGCONT)
            assert "back" == stream.next("back", "happened")[0]
            item = console.roost.enqueue("none", any_engine=True)
            stream.until(of(item.work_id))
    finally:
        server.kill()


def test_two_consoles_hear_each_others_queue_not(redis_server):
    """Each follows its own."""
    first, second = settings_for(redis_server), settings_for(redis_server)
    with (
        console_here(first) as site,
        console_here(second) as other,
        SyncRoost.connect(second, plugins=plugins_of()) as roost,
        contextlib.closing(Stream(site.sign_in())) as stream,
        contextlib.closing(Stream(other.sign_in())) as theirs,
    ):
        stream.next("pulse")
        theirs.next("pulse")
        item = roost.enqueue("none", any_engine=True)
        theirs.until(of(item.work_id))
        assert "pulse" == stream.next()[0]
