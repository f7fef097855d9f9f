"""Script calls over one connection, to a server whose answers a test controls."""

from __future__ import annotations

import asyncio
import gc

import pytest

from roost_core.errors import BackendError, BackendUnavailable
from roost_plugins.redis_saq import pipe as pipe_module
from roost_plugins.redis_saq.calls import Calls
from roost_plugins.redis_saq.pipe import Pipe
from tests.unit.resp_server import OTHER, SCRIPT, bulk, resp_server
from tests.unit.stepper_bench import LeapingLoop


@pytest.fixture(params=["plain", "redis-py"])
def run(request):
    """Run a coroutine function of opened calls and their server, over both kinds of connection."""
    return runner_over(is_plain=request.param == "plain")


@pytest.fixture
def run_over_redis_py():
    """Do the same over a connection that redis-py makes."""
    return runner_over(is_plain=False)


def runner_over(is_plain):
    """Return what runs a test; nothing may go wrong unseen."""

    def run_it(main, loop_factory=None):
        unseen = []

        async def with_calls():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: unseen.append(context))
            async with resp_server(is_plain) as server:
                calls = Calls(server)
                await calls.open()
                try:
                    async with asyncio.timeout(60 if loop_factory is None else 10_000):
                        await main(calls, server)
                finally:
                    await calls.close()
                    await calls.close()
                # The server may still be accepting what was given up meanwhile.
                for _ in range(1000):
                    if {asyncio.current_task()} == asyncio.all_tasks():
                        break
                    await asyncio.sleep(0)
                assert {asyncio.current_task()} == asyncio.all_tasks()
                await server.until(lambda: not any(peer.is_open for peer in server.peers))
                gc.collect(1)

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(with_calls())
        assert [] == unseen

    return run_it


def words_of(script, *arguments):
    """Return a call by name as the server sees it."""
    keys = [key.encode() for key in script.keys]
    return [b"EVALSHA", script.sha.encode(), str(len(keys)).encode(), *keys, *arguments]


async def outcomes(*answers):
    """Wait for all; return answers, and of errors their types."""
    found = await asyncio.gather(*answers, return_exceptions=True)
    return [type(one) if isinstance(one, Exception) else one for one in found]


async def ours(true):
    """Wait until something is true that only this side knows."""
    while not true():  # noqa: ASYNC110 - bounded by the test's time
        await asyncio.sleep(0)


async def turns(number=5):
    """Let the loop go round."""
    for _ in range(number):
        await asyncio.sleep(0)


# -- calls -----------------------------------------------------------------------------------


def test_a_call(run):
    """Name, keys and arguments go out as they are: texts, numbers and bytes."""

    async def main(calls, server):
        assert b"last" == await calls(SCRIPT, "wörk", 5, 2.5, b"\x00\r\n$3", "", b"last")
        expected = ["wörk".encode(), b"5", b"2.5", b"\x00\r\n$3", b"", b"last"]
        assert [words_of(SCRIPT, *expected)] == [words for _, words in server.asked]

    run(main)


def test_a_call_without_arguments(run):
    """The head alone is a command, too."""

    async def main(calls, server):
        server.answers = [b":5\r\n"]
        assert 5 == await calls(SCRIPT)
        assert [words_of(SCRIPT)] == [words for _, words in server.asked]

    run(main)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"$-1\r\n", None),
        (b"*0\r\n", []),
        (b"+OK\r\n", b"OK"),
        (b"*3\r\n:-1\r\n$-1\r\n*1\r\n$1\r\na\r\n", [-1, None, [b"a"]]),
    ],
)
def test_answers_of_all_kinds(run, raw, value):
    """Numbers, nothing, lists: as the server wrote them."""

    async def main(calls, server):
        server.answers = [raw]
        assert value == await calls(SCRIPT, "a")

    run(main)


def test_large_arguments_and_answers(run):
    """What does not go through at once goes through in parts, and the others wait for it."""

    async def main(calls, server):
        large = b"x" * 1_000_000
        found = await asyncio.gather(*(calls(SCRIPT, one) for one in (large, "a", large, "b", "c")))
        assert [large, b"a", large, b"b", b"c"] == found

    run(main)


def test_calls_leave_in_groups(run, monkeypatch):
    """A group leaves as soon as it is full, the rest with the turn; none waits for answers."""
    writes = []
    write = Pipe._write

    def noting(self, calls):
        writes.append(len(calls))
        write(self, calls)

    monkeypatch.setattr(Pipe, "_write", noting)

    async def main(calls, server):
        await calls(SCRIPT, "connected")
        writes.clear()
        server.echoes = False
        mine = [calls(SCRIPT, str(number)) for number in range(10)]
        assert [4, 4] == writes
        await server.until_asked(11)
        assert [4, 4, 2] == writes
        assert [str(number).encode() for number in range(10)] == server.last_arguments[1:]
        for peer, words in server.asked[1:]:
            peer.write(bulk(words[-1]))
        assert [str(number).encode() for number in range(10)] == await asyncio.gather(*mine)
        assert 1 == len(server.peers)

    run(main)


def test_many_calls_at_once(run):
    """Also those made before there is a connection: over one, and each has its own answer."""

    async def main(calls, server):
        answers = await asyncio.gather(*(calls(SCRIPT, str(number)) for number in range(300)))
        assert [str(number).encode() for number in range(300)] == answers
        assert 300 == len(server.asked)
        assert 1 == len(server.peers)

    run(main)


def test_answers_in_parts(run):
    """However the bytes arrive, one by one too: in order, each to whom it belongs."""

    async def main(calls, server):
        server.echoes = False
        mine = [calls(SCRIPT, one) for one in "abc"]
        await server.until_asked(3)
        peer = server.peers[0]
        for byte in bulk(b"first\r\nline") + b"*2\r\n:1\r\n$-1\r\n" + b":7\r\n":
            peer.write(bytes([byte]))
            await turns()
        assert [b"first\r\nline", [1, None], 7] == await asyncio.gather(*mine)

    run(main)


def test_an_early_answer_is_not_held_back(run):
    """The answer to the first call is there before the server has said anything to the second."""

    async def main(calls, server):
        server.echoes = False
        first, second = calls(SCRIPT, "a"), calls(SCRIPT, "b")
        await server.until_asked(2)
        server.peers[0].write(b":1\r\n$5\r\nha")
        assert 1 == await first
        assert not second.done()
        server.peers[0].write(b"lf!\r\n")
        assert b"half!" == await second

    run(main)


def test_an_argument_that_cannot_be_sent(run):
    """A text with a lone surrogate fails its own call, and no other."""

    async def main(calls, server):
        first = calls(SCRIPT, "a")
        with pytest.raises(UnicodeEncodeError):
            calls(SCRIPT, "\ud800")
        assert [b"a", b"c"] == await asyncio.gather(first, calls(SCRIPT, "c"))
        assert [b"a", b"c"] == server.last_arguments

    run(main)


# -- scripts that the server does not know ---------------------------------------------------


def test_forgotten_scripts(run):
    """They are called again by their source; nobody else's answer is touched."""

    async def main(calls, server):
        server.known = {OTHER.sha}
        mine = [calls(SCRIPT if number % 3 else OTHER, str(number)) for number in range(20)]
        assert [str(number).encode() for number in range(20)] == await asyncio.gather(*mine)
        again = [words for _, words in server.asked if words[0] == b"EVAL"]
        keys = [key.encode() for key in SCRIPT.keys]
        head = [SCRIPT.source.encode(), str(len(keys)).encode(), *keys]
        assert [b"EVAL", *head, b"1"] == again[0]
        assert {SCRIPT.source.encode()} == {words[1] for words in again}
        asked = len(server.asked)
        assert b"x" == await calls(SCRIPT, "x")
        assert asked + 1 == len(server.asked)

    run(main)


def test_a_server_that_knows_no_script_whatever_it_is_told(run):
    """That is a refusal; nobody goes round in circles."""

    async def main(calls, server):
        server.answers = [b"-NOSCRIPT No matching script.\r\n"] * 2
        with pytest.raises(BackendError, match="refused: NOSCRIPT"):
            await calls(SCRIPT, "a")
        assert [b"EVALSHA", b"EVAL"] == [words[0] for _, words in server.asked]

    run(main)


def test_who_gives_up_before_it_is_repeated(run):
    """Such a call is not sent again."""

    async def main(calls, server):
        server.echoes = False
        first, second = calls(SCRIPT, "a"), calls(SCRIPT, "b")
        await server.until_asked(2)
        first.cancel()
        server.echoes = True
        server.peers[0].write(b"-NOSCRIPT No matching script.\r\n:2\r\n")
        assert 2 == await second
        assert b"c" == await calls(SCRIPT, "c")
        assert [b"a", b"b", b"c"] == server.last_arguments

    run(main)


@pytest.mark.parametrize("then", [b"-READONLY You can't write.\r\n", b"?riddle\r\n"])
def test_a_forgotten_script_and_the_end_of_the_connection(run, then):
    """Come in one packet, they leave nobody waiting for ever."""

    async def main(calls, server):
        server.echoes = False
        mine = [calls(SCRIPT, "a"), calls(SCRIPT, "b")]
        await server.until_asked(2)
        server.peers[0].write(b"-NOSCRIPT No matching script.\r\n" + then)
        assert [BackendUnavailable] * 2 == await outcomes(*mine)

    run(main)


# -- refusals --------------------------------------------------------------------------------


def test_refusals_among_others(run):
    """A refused call has its own error; the others have their answers, and the connection stays."""

    async def main(calls, server):
        server.answers = [
            b":0\r\n",
            b"-ERR user_script:5: attempt to index nil\r\n",
            b"-OOM command not allowed\r\n",
            b"-LOADING Redis is loading\r\n",
            b"-ERR Error running script: @user_script: 12: -OOM command not allowed\r\n",
            b"-ERR \xff\xfe is no text\r\n",
            b":6\r\n",
        ]
        found = await outcomes(*(calls(SCRIPT, str(number)) for number in range(7)))
        away = BackendUnavailable
        assert [0, BackendError, away, away, away, BackendError, 6] == found
        assert 1 == len(server.peers)

    run(main)


def test_a_refusal_in_words(run):
    """It says where, and what the server said."""

    async def main(calls, server):
        server.answers = [b"-ERR nonsense\r\n", b"-OOM full\r\n"]
        with pytest.raises(BackendError, match=r"^the server at there refused: ERR nonsense$"):
            await calls(SCRIPT, "a")
        with pytest.raises(BackendUnavailable, match=r"there refuses for now: OOM full$"):
            await calls(SCRIPT, "a")

    run(main)


@pytest.mark.parametrize(
    "refusal",
    [
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-ERR Error running script: @user_script: 12: -READONLY You can't write\r\n",
    ],
)
def test_a_replica(run, refusal):
    """A server that takes no writes may have been replaced: the next call connects anew."""

    async def main(calls, server):
        server.echoes = False
        mine = [calls(SCRIPT, one) for one in "abc"]
        await server.until_asked(3)
        # What the same packet brings to others is theirs all the same.
        server.peers[0].write(refusal + b":1\r\n")
        assert [BackendUnavailable, 1, BackendUnavailable] == await outcomes(*mine)
        server.echoes = True
        assert b"x" == await calls(SCRIPT, "x")
        assert 2 == len(server.peers)

    run(main)


# -- connections that break ------------------------------------------------------------------


def test_a_cut_connection(run):
    """Those answered keep their answers, the rest get none; the next call has a new connection."""

    async def main(calls, server):
        server.echoes = False
        mine = [calls(SCRIPT, str(number)) for number in range(6)]
        await server.until_asked(6)
        server.peers[0].write(b":0\r\n:1\r\n$5\r\nha")
        server.peers[0].cut()
        assert [0, 1, *[BackendUnavailable] * 4] == await outcomes(*mine)
        server.echoes = True
        assert b"x" == await calls(SCRIPT, "x")
        assert [False, True] == [one.is_open for one in server.peers]

    run(main)


def test_a_reset_connection(run):
    """The reason is told."""

    async def main(calls, server):
        server.echoes = False
        mine = calls(SCRIPT, "a")
        await server.until_asked(1)
        calls._pipe._transport._force_close(ConnectionResetError("reset by peer"))
        with pytest.raises(BackendUnavailable, match="there does not answer: reset by peer"):
            await mine

    run(main)


def test_a_connection_cut_while_idle(run):
    """Nobody has noticed it but the next call, which has a new connection."""

    async def main(calls, server):
        await calls(SCRIPT, "a")
        server.peers[0].cut()
        await ours(lambda: calls._pipe is None)
        assert b"b" == await calls(SCRIPT, "b")
        assert 2 == len(server.peers)

    run(main)


def test_connections_go_back_to_the_pool(run_over_redis_py):
    """However often they break, no more than two are known to the client."""

    async def main(calls, server):
        for number in range(10):
            server.answers = [b"?riddle\r\n"]
            assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "a"))
            assert b"b" == await calls(SCRIPT, "b")
            pool = calls.client.connection_pool
            assert len(pool._in_use_connections) + len(pool._available_connections) <= 2, number

    run_over_redis_py(main)


def test_nobody_listens(run):
    """All that wait fail together, by one attempt; later calls try anew."""

    async def main(calls, server):
        await server.stop()
        mine = [calls(SCRIPT, str(number)) for number in range(10)]
        assert [BackendUnavailable] * 10 == await outcomes(*mine)
        with pytest.raises(BackendUnavailable, match="the server at there does not answer"):
            await calls(SCRIPT, "a")
        await server.start()
        assert b"b" == await calls(SCRIPT, "b")

    run(main)


def test_a_connection_that_closes_as_it_is_made(run_over_redis_py, monkeypatch):
    """No answer, at once, rather than a wait for nothing; and it is not lost to the pool."""

    async def main(calls, server):
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

    run_over_redis_py(main)


async def _abort(connection):
    connection._writer.transport.abort()


async def _disconnect(connection):
    await connection.disconnect()


@pytest.mark.parametrize("riddle", [b"?\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"$x\r\n"])
def test_garbage(run, riddle):
    """It ends the connection: what is asked has no answer, and the next call has a new one."""

    async def main(calls, server):
        server.echoes = False
        mine = [calls(SCRIPT, "a"), calls(SCRIPT, "b")]
        await server.until_asked(2)
        server.peers[0].write(b":1\r\n" + riddle)
        assert [1, BackendUnavailable] == await outcomes(*mine)
        server.echoes = True
        assert b"x" == await calls(SCRIPT, "x")
        assert 2 == len(server.peers)

    run(main)


def test_an_answer_that_nobody_asked_for(run):
    """Nobody gets it: the connection ends, because from now on none could be trusted."""

    async def main(calls, server):
        assert b"a" == await calls(SCRIPT, "a")
        server.peers[0].write(b":1\r\n")
        await server.until(lambda: not server.peers[0].is_open)
        assert b"b" == await calls(SCRIPT, "b")

    run(main)


# -- silence ---------------------------------------------------------------------------------


def test_a_silent_server(run):
    """After the time that a command may take its calls have no answer; others connect anew."""

    async def main(calls, server):
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

    run(main, LeapingLoop)


def test_silence_is_counted_from_the_last_answer(run):
    """A server that is slow with many calls is not silent; one that stops in between is."""

    async def main(calls, server):
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

    run(main, LeapingLoop)


def test_silence_without_a_question(run):
    """A connection on which nothing is asked may be silent; the next call has its whole time."""

    async def main(calls, server):
        assert b"a" == await calls(SCRIPT, "a")
        await asyncio.sleep(3600)
        server.echoes = False
        mine = calls(SCRIPT, "b")
        await server.until_asked(2)
        await asyncio.sleep(9)
        server.peers[0].write(b":1\r\n")
        assert 1 == await mine
        assert 1 == len(server.peers)

    run(main, LeapingLoop)


# -- who gives up ----------------------------------------------------------------------------


def test_who_gives_up_before_it_is_sent(run):
    """Such a call is not sent: a claim would be nobody's."""

    async def main(calls, server):
        early, first = calls(SCRIPT, "early"), calls(SCRIPT, "first")
        early.cancel()
        assert b"first" == await first
        second, third = calls(SCRIPT, "second"), calls(SCRIPT, "third")
        second.cancel()
        assert b"third" == await third
        assert [b"first", b"third"] == server.last_arguments

    run(main)


def test_all_give_up_before_it_is_sent(run):
    """Then nothing is."""

    async def main(calls, server):
        await calls(SCRIPT, "a")
        for one in [calls(SCRIPT, "b"), calls(SCRIPT, "c")]:
            one.cancel()
        await turns()
        assert b"d" == await calls(SCRIPT, "d")
        assert [b"a", b"d"] == server.last_arguments

    run(main)


def test_who_gives_up_while_it_is_under_way(run):
    """Its answer is read and dropped, a refusal as well: the next one's is its own."""

    async def main(calls, server):
        server.echoes = False
        mine = [calls(SCRIPT, str(number)) for number in range(3)]
        await server.until_asked(3)
        mine[0].cancel()
        mine[1].cancel()
        server.peers[0].write(b":0\r\n-ERR nonsense\r\n:2\r\n")
        assert 2 == await mine[2]
        server.echoes = True
        assert b"x" == await calls(SCRIPT, "x")

    run(main)


def test_who_gives_up_before_the_connection_breaks(run):
    """It has no error that nobody looks at."""

    async def main(calls, server):
        server.echoes = False
        first, second = calls(SCRIPT, "a"), calls(SCRIPT, "b")
        await server.until_asked(2)
        first.cancel()
        server.peers[0].cut()
        assert [BackendUnavailable] == await outcomes(second)
        assert first.cancelled()

    run(main)


# -- opening and closing ---------------------------------------------------------------------


def test_calls_that_are_not_open(run):
    """They say so, to whoever calls and to whoever wants the client."""

    async def main(calls, server):
        await calls.close()
        with pytest.raises(BackendUnavailable, match="the backend is not open"):
            await calls(SCRIPT, "a")
        with pytest.raises(BackendUnavailable, match="the backend is not open"):
            _ = calls.client
        assert [] == server.asked

    run(main)


def test_closing_with_calls_under_way(run):
    """They fail, and so do those that have not been sent; opening again is possible."""

    async def main(calls, server):
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

    run(main)


@pytest.mark.parametrize("count", range(8))
def test_closing_while_it_connects(run, count):
    """Wherever the connecting stands, the calls fail, and no connection is left over."""

    async def main(calls, server):
        server.echoes = False
        mine = [calls(SCRIPT, "a"), calls(SCRIPT, "b")]
        await turns(count)
        await calls.close()
        assert [BackendUnavailable] * 2 == await outcomes(*mine)
        assert calls._pipe is None

    run(main)


def test_a_call_while_it_closes(run):
    """It is told that the backend is not open; no new connection is begun for it."""

    async def main(calls, server):
        assert b"a" == await calls(SCRIPT, "a")
        closing = asyncio.create_task(calls.close())
        await asyncio.sleep(0)
        with pytest.raises(BackendUnavailable, match="not open"):
            await calls(SCRIPT, "b")
        await closing
        assert 1 == len(server.peers)

    run(main)


# -- a server that is slower than we are -----------------------------------------------------


def test_a_full_connection(run):
    """What is asked then stays here until there is room; who gives up meanwhile is not sent."""

    async def main(calls, server):
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

    run(main)


def test_a_server_that_reads_nothing_for_a_while(run):
    """The transport says itself when it is full, and when it has room again."""

    async def main(calls, server):
        assert b"a" == await calls(SCRIPT, "a")
        server.peers[0].transport.pause_reading()
        large = b"x" * 2_000_000
        mine = [calls(SCRIPT, large), *(calls(SCRIPT, str(number)) for number in range(5))]
        await turns()
        assert calls._pipe._is_full
        assert 2 == len(calls._pipe._waiting)
        server.peers[0].transport.resume_reading()
        assert [large, b"0", b"1", b"2", b"3", b"4"] == await asyncio.gather(*mine)
        assert not calls._pipe._is_full

    run(main)


def test_a_full_connection_that_breaks(run):
    """Also what was kept back fails."""

    async def main(calls, server):
        assert b"a" == await calls(SCRIPT, "a")
        calls._pipe.pause_writing()
        mine = [calls(SCRIPT, str(number)) for number in range(5)]
        server.peers[0].cut()
        assert [BackendUnavailable] * 5 == await outcomes(*mine)

    run(main)


# -- the embedded server ---------------------------------------------------------------------


def test_an_embedded_server_is_started_again(run):
    """A connection that cannot be made anew is a reason to look after it, with a new client."""

    async def main(calls, server):
        server.is_embedded = True
        await calls(SCRIPT, "a")
        former = calls.client
        await server.stop()
        assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "b"))
        await calls._mending
        await server.start()
        assert b"c" == await calls(SCRIPT, "c")
        assert calls.client is not former

    run(main)


def test_an_embedded_server_that_was_there_all_the_time(run):
    """If only the connection broke, whoever has connected anew meanwhile is not disturbed."""

    async def main(calls, server):
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

    run(main)


def test_refusals_are_no_reason_to_start_it_again(run):
    """A server that refuses is there."""

    async def main(calls, server):
        server.is_embedded = True
        server.answers = [b"-OOM full\r\n", b"-ERR nonsense\r\n"]
        assert [BackendUnavailable, BackendError] == await outcomes(
            calls(SCRIPT, "a"), calls(SCRIPT, "b")
        )
        await turns()
        assert 1 == server.ensured  # by open()

    run(main)


def test_a_server_that_is_not_embedded_is_left_alone(run):
    """Its connection broke; to start it is somebody else's task."""

    async def main(calls, server):
        await calls(SCRIPT, "a")
        await server.stop()
        assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "b"))
        await turns()
        assert 1 == server.ensured

    run(main)


def test_one_look_after_the_server_at_a_time(run):
    """However many calls fail, and if it fails itself, the next failure tries again."""

    async def main(calls, server):
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

    run(main)


@pytest.mark.parametrize("is_connected", [True, False])
def test_closing_is_no_reason_to_start_it_again(run, is_connected):
    """Nor does what was begun go on: who has closed is closed."""

    async def main(calls, server):
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

    run(main)
