"""Connections that break, fall silent or fill up; callers that give up; opening and closing."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.errors import BackendError, BackendUnavailable
from roost_plugins.redis_saq.connection import pipe as pipe_module
from tests.event_loops import leaping
from tests.unit.redis_saq.connection.calls_bench import opened, ours, outcomes, turns
from tests.unit.redis_saq.connection.resp_server import SCRIPT, resp_server


@pytest.fixture(params=["plain", "redis-py"])
def server(request):
    """Give a server for both kinds of connection."""
    with resp_server(is_plain=request.param == "plain") as server:
        yield server


@pytest.fixture
def calls(server):
    """Give calls to that server."""
    return opened(server)


@pytest.fixture
def redis_py_server():
    """Give a server for connections that redis-py makes."""
    with resp_server(is_plain=False) as server:
        yield server


# -- connections that break ------------------------------------------------------------------


async def test_a_cut_connection(calls, server):
    """Those answered keep their answers, the rest get none; the next call has a new connection."""
    server.echoes = False
    mine = [calls(SCRIPT, str(number)) for number in range(6)]
    await server.until_asked(6)
    server.peers[0].write(b":0\r\n:1\r\n$5\r\nha")
    server.peers[0].cut()
    assert [0, 1, *[BackendUnavailable] * 4] == await outcomes(*mine)
    server.echoes = True
    assert b"x" == await calls(SCRIPT, "x")
    assert [False, True] == [one.is_open for one in server.peers]


async def test_a_reset_connection(calls, server):
    """The error says why."""
    server.echoes = False
    mine = calls(SCRIPT, "a")
    await server.until_asked(1)
    calls._pipe._transport._force_close(ConnectionResetError("reset by peer"))
    with pytest.raises(BackendUnavailable, match="there does not answer: reset by peer"):
        await mine


async def test_a_connection_cut_while_idle(calls, server):
    """Only the next call notices, and has a new connection."""
    await calls(SCRIPT, "a")
    server.peers[0].cut()
    await ours(lambda: calls._pipe is None)
    assert b"b" == await calls(SCRIPT, "b")
    assert 2 == len(server.peers)


async def test_connections_go_back_to_the_pool(redis_py_server):
    """However often they break, no more than two are known to the client."""
    async with opened(redis_py_server) as calls:
        for number in range(10):
            redis_py_server.answers = [b"?riddle\r\n"]
            assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "a"))
            assert b"b" == await calls(SCRIPT, "b")
            pool = calls.client.connection_pool
            assert len(pool._in_use_connections) + len(pool._available_connections) <= 2, number


async def test_nobody_listens(calls, server):
    """All that wait fail together, after one attempt; later calls try again."""
    await server.stop()
    mine = [calls(SCRIPT, str(number)) for number in range(10)]
    assert [BackendUnavailable] * 10 == await outcomes(*mine)
    with pytest.raises(BackendUnavailable, match="the server at there does not answer"):
        await calls(SCRIPT, "a")
    await server.start()
    assert b"b" == await calls(SCRIPT, "b")


async def test_a_connection_that_closes_as_it_is_made(redis_py_server, monkeypatch):
    """It fails at once instead of waiting in vain, and the connection is not lost to the pool."""
    async with opened(redis_py_server) as calls:
        pool = calls.client.connection_pool
        get_connection = pool.get_connection
        harms = [_abort, _disconnect]

        async def harmed():
            connection = await get_connection()
            if harms:
                await harms.pop(0)(connection)
            return connection

        monkeypatch.setattr(pool, "get_connection", harmed)
        for _ in range(2):
            with pytest.raises(BackendUnavailable, match="it hung up at once"):
                await calls(SCRIPT, "a")
        assert b"b" == await calls(SCRIPT, "b")
        assert 1 == len(pool._in_use_connections)


async def _abort(connection):
    connection._writer.transport.abort()


async def _disconnect(connection):
    await connection.disconnect()


@pytest.mark.parametrize("riddle", [b"?\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n"])
async def test_garbage(calls, server, riddle):
    """It ends the connection: pending calls get no answer, and the next call has a new one."""
    server.echoes = False
    mine = [calls(SCRIPT, "a"), calls(SCRIPT, "b")]
    await server.until_asked(2)
    server.peers[0].write(b":1\r\n" + riddle)
    assert [1, BackendUnavailable] == await outcomes(*mine)
    server.echoes = True
    assert b"x" == await calls(SCRIPT, "x")
    assert 2 == len(server.peers)


async def test_an_answer_that_nobody_asked_for(calls, server):
    """Nobody gets it: the connection ends, because no later answer could be trusted."""
    assert b"a" == await calls(SCRIPT, "a")
    server.peers[0].write(b":1\r\n")
    await server.until(lambda: not server.peers[0].is_open)
    assert b"b" == await calls(SCRIPT, "b")


# -- silence ---------------------------------------------------------------------------------


@leaping()
async def test_a_silent_server(calls, server):
    """After the time that a command may take, its calls get no answer; later ones reconnect."""
    await calls(SCRIPT, "a")
    server.echoes = False
    loop = asyncio.get_running_loop()
    began = loop.time()
    mine = [calls(SCRIPT, "b"), calls(SCRIPT, "c")]
    with pytest.raises(BackendUnavailable, match="does not answer: nothing for 10 s"):
        await mine[0]
    assert [BackendUnavailable] == await outcomes(mine[1])
    assert pipe_module.COMMAND_TIMEOUT == pytest.approx(loop.time() - began)
    server.echoes = True
    assert b"d" == await calls(SCRIPT, "d")


@leaping()
async def test_silence_is_counted_from_the_last_answer(calls, server):
    """A server that is slow with many calls is not silent; one that stops in between is."""
    server.echoes = False
    loop = asyncio.get_running_loop()
    mine = [calls(SCRIPT, str(number)) for number in range(5)]
    await server.until_asked(5)
    for number in range(3):
        await asyncio.sleep(8)
        server.peers[0].write(b":%d\r\n" % number)
        assert number == await mine[number]
    began = loop.time()
    assert [BackendUnavailable] * 2 == await outcomes(*mine[3:])
    assert 10 == pytest.approx(loop.time() - began)


@leaping()
async def test_silence_without_a_question(calls, server):
    """A connection without pending calls may be silent; the next call has its whole time."""
    assert b"a" == await calls(SCRIPT, "a")
    await asyncio.sleep(3600)
    server.echoes = False
    mine = calls(SCRIPT, "b")
    await server.until_asked(2)
    await asyncio.sleep(9)
    server.peers[0].write(b":1\r\n")
    assert 1 == await mine
    assert 1 == len(server.peers)


# -- who gives up ----------------------------------------------------------------------------


async def test_who_gives_up_before_it_is_sent(calls, server):
    """Such a call is not sent: a claim would belong to nobody."""
    early, first = calls(SCRIPT, "early"), calls(SCRIPT, "first")
    early.cancel()
    assert b"first" == await first
    second, third = calls(SCRIPT, "second"), calls(SCRIPT, "third")
    second.cancel()
    assert b"third" == await third
    assert [b"first", b"third"] == server.last_arguments


async def test_all_give_up_before_it_is_sent(calls, server):
    """Then nothing is sent."""
    await calls(SCRIPT, "a")
    for one in [calls(SCRIPT, "b"), calls(SCRIPT, "c")]:
        one.cancel()
    await turns()
    assert b"d" == await calls(SCRIPT, "d")
    assert [b"a", b"d"] == server.last_arguments


async def test_who_gives_up_while_it_is_under_way(calls, server):
    """Its answer is read and dropped, even a refusal: the next call gets its own."""
    server.echoes = False
    mine = [calls(SCRIPT, str(number)) for number in range(3)]
    await server.until_asked(3)
    mine[0].cancel()
    mine[1].cancel()
    server.peers[0].write(b":0\r\n-ERR nonsense\r\n:2\r\n")
    assert 2 == await mine[2]
    server.echoes = True
    assert b"x" == await calls(SCRIPT, "x")


async def test_who_gives_up_before_the_connection_breaks(calls, server):
    """It leaves no error that nobody retrieves."""
    server.echoes = False
    first, second = calls(SCRIPT, "a"), calls(SCRIPT, "b")
    await server.until_asked(2)
    first.cancel()
    server.peers[0].cut()
    assert [BackendUnavailable] == await outcomes(second)
    assert first.cancelled()


# -- opening and closing ---------------------------------------------------------------------


async def test_calls_that_are_not_open(calls, server):
    """They say so, both to calls and to code that asks for the client."""
    await calls.close()
    with pytest.raises(BackendUnavailable, match="the backend is not open"):
        await calls(SCRIPT, "a")
    with pytest.raises(BackendUnavailable, match="the backend is not open"):
        _ = calls.client
    assert [] == server.asked


async def test_closing_with_calls_under_way(calls, server):
    """They fail, and so do those that have not been sent; opening again is possible."""
    server.echoes = False
    under_way = calls(SCRIPT, "a")
    await server.until_asked(1)
    waiting = calls(SCRIPT, "b")
    await calls.close()
    for one in (under_way, waiting):
        with pytest.raises(BackendUnavailable, match="the backend was closed"):
            await one
    server.echoes = True
    await calls.open()
    await calls.open()
    assert b"c" == await calls(SCRIPT, "c")
    assert [b"a", b"c"] == server.last_arguments
    assert 2 == len(server.peers)


@pytest.mark.parametrize("count", range(8))
async def test_closing_while_it_connects(calls, server, count):
    """However far the connecting has come, the calls fail, and no connection is left over."""
    server.echoes = False
    mine = [calls(SCRIPT, "a"), calls(SCRIPT, "b")]
    await turns(count)
    await calls.close()
    assert [BackendUnavailable] * 2 == await outcomes(*mine)
    assert calls._pipe is None


async def test_a_call_while_it_closes(calls, server):
    """It is told that the backend is not open; no new connection is begun for it."""
    assert b"a" == await calls(SCRIPT, "a")
    closing = asyncio.create_task(calls.close())
    await asyncio.sleep(0)
    with pytest.raises(BackendUnavailable, match="not open"):
        await calls(SCRIPT, "b")
    await closing
    assert 1 == len(server.peers)


# -- a server that is slower than we are -----------------------------------------------------


async def test_a_full_connection(calls, server):
    """Calls then stay here until there is room; those given up meanwhile are not sent."""
    assert b"a" == await calls(SCRIPT, "a")
    calls._pipe.pause_writing()
    mine = [calls(SCRIPT, str(number)) for number in range(9)]
    mine[4].cancel()
    other = calls(SCRIPT, "other")
    await turns()
    assert [b"a"] == server.last_arguments
    calls._pipe.resume_writing()
    found = await asyncio.gather(*mine[:4], *mine[5:], other)
    assert [b"0", b"1", b"2", b"3", b"5", b"6", b"7", b"8", b"other"] == found


async def test_a_server_that_reads_nothing_for_a_while(calls, server):
    """The transport says itself when it is full, and when it has room again."""
    assert b"a" == await calls(SCRIPT, "a")
    server.peers[0].transport.pause_reading()
    large = b"x" * 2_000_000
    mine = [calls(SCRIPT, large), *(calls(SCRIPT, str(number)) for number in range(7))]
    await turns()
    assert calls._pipe._is_full
    assert 2 == len(calls._pipe._waiting)
    server.peers[0].transport.resume_reading()
    small = [str(number).encode() for number in range(7)]
    assert [large, *small] == await asyncio.gather(*mine)
    assert not calls._pipe._is_full


async def test_a_full_connection_that_breaks(calls, server):
    """What was kept back fails, too."""
    assert b"a" == await calls(SCRIPT, "a")
    calls._pipe.pause_writing()
    mine = [calls(SCRIPT, str(number)) for number in range(5)]
    server.peers[0].cut()
    assert [BackendUnavailable] * 5 == await outcomes(*mine)


# -- the embedded server ---------------------------------------------------------------------


async def test_an_embedded_server_is_started_again(calls, server):
    """Failing to reconnect is a reason to start it again, with a new client."""
    server.is_embedded = True
    await calls(SCRIPT, "a")
    former = calls.client
    await server.stop()
    assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "b"))
    await calls._mending
    await server.start()
    assert b"c" == await calls(SCRIPT, "c")
    assert calls.client is not former


async def test_an_embedded_server_that_was_there_all_the_time(calls, server):
    """If only the connection broke, those that have reconnected meanwhile are not disturbed."""
    server.is_embedded = True
    looked = asyncio.Event()

    async def ensure():
        await looked.wait()

    server.ensure = ensure
    await calls(SCRIPT, "a")
    server.peers[0].cut()
    await ours(lambda: calls._mending is not None)
    server.echoes = False
    mine = calls(SCRIPT, "b")
    await server.until_asked(2)
    looked.set()
    await calls._mending
    server.peers[1].write(b":1\r\n")
    assert 1 == await mine


async def test_refusals_are_no_reason_to_start_it_again(calls, server):
    """A server that refuses is there."""
    server.is_embedded = True
    server.answers = [b"-OOM full\r\n", b"-ERR nonsense\r\n"]
    assert [BackendUnavailable, BackendError] == await outcomes(
        calls(SCRIPT, "a"), calls(SCRIPT, "b")
    )
    await turns()
    assert 1 == server.ensured  # by open()


async def test_a_server_that_is_not_embedded_is_left_alone(calls, server):
    """Its connection broke; starting it is not Roost's task."""
    await calls(SCRIPT, "a")
    await server.stop()
    assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "b"))
    await turns()
    assert 1 == server.ensured


async def test_one_look_after_the_server_at_a_time(calls, server):
    """However many calls fail; and if the look fails itself, the next failure tries again."""
    server.is_embedded = True
    looks = []
    going_on = asyncio.Event()

    async def ensure():
        looks.append("look")
        await going_on.wait()
        raise BackendUnavailable("no binary")

    server.ensure = ensure
    await server.stop()
    for _ in range(3):
        assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "a"))
        await turns()
    assert ["look"] == looks
    going_on.set()
    await calls._mending
    assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "a"))
    await turns()
    assert ["look"] * 2 == looks
    assert len(server.clients) <= 1


@pytest.mark.parametrize("is_connected", [True, False])
async def test_closing_is_no_reason_to_start_it_again(calls, server, is_connected):
    """Nor does what was begun continue: closed is closed."""
    server.is_embedded = True
    await calls(SCRIPT, "a")
    if not is_connected:
        await server.stop()
        await outcomes(calls(SCRIPT, "b"))
    ensured = server.ensured
    await calls.close()
    await turns(20)
    assert ensured == server.ensured
    with pytest.raises(BackendUnavailable, match="not open"):
        _ = calls.client
