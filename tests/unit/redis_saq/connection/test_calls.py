"""Script calls over one connection: what goes out, what comes back, what is refused."""

from __future__ import annotations

import asyncio

import pytest

from roost_core.errors import BackendError, BackendUnavailable
from roost_plugins.redis_saq.connection.pipe import Pipe
from tests.unit.redis_saq.connection.calls_bench import opened, outcomes, turns, words_of
from tests.unit.redis_saq.connection.resp_server import OTHER, SCRIPT, bulk, resp_server


@pytest.fixture(params=["plain", "redis-py"])
def server(request):
    """Give a server for both kinds of connection."""
    with resp_server(is_plain=request.param == "plain") as server:
        yield server


@pytest.fixture
def calls(server):
    """Give calls to that server."""
    return opened(server)


# -- calls -----------------------------------------------------------------------------------


async def test_a_call(calls, server):
    """Name, keys and arguments go out as they are: texts, numbers and bytes."""
    assert b"last" == await calls(SCRIPT, "wörk", 5, 2.5, b"\x00\r\n$3", "", b"last")
    expected = ["wörk".encode(), b"5", b"2.5", b"\x00\r\n$3", b"", b"last"]
    assert [words_of(SCRIPT, *expected)] == [words for _, words in server.asked]


async def test_a_call_without_arguments(calls, server):
    """The head alone is a command, too."""
    server.answers = [b":5\r\n"]
    assert 5 == await calls(SCRIPT)
    assert [words_of(SCRIPT)] == [words for _, words in server.asked]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"$-1\r\n", None),
        (b"*0\r\n", []),
        (b"+OK\r\n", b"OK"),
        (b"*3\r\n:-1\r\n$-1\r\n*1\r\n$1\r\na\r\n", [-1, None, [b"a"]]),
    ],
)
async def test_answers_of_all_kinds(calls, server, raw, value):
    """Numbers, nothing, lists: as the server wrote them."""
    server.answers = [raw]
    assert value == await calls(SCRIPT, "a")


async def test_large_arguments_and_answers(calls, server):
    """What cannot be sent at once is sent in parts, and the others wait for it."""
    large = b"x" * 1_000_000
    found = await asyncio.gather(*(calls(SCRIPT, one) for one in (large, "a", large, "b", "c")))
    assert [large, b"a", large, b"b", b"c"] == found


async def test_calls_leave_in_groups(calls, server, monkeypatch):
    """A group leaves as soon as it is full, the rest with the turn; none waits for answers."""
    writes = []
    write = Pipe._write

    def noting(self, calls):
        writes.append(len(calls))
        write(self, calls)

    monkeypatch.setattr(Pipe, "_write", noting)
    await calls(SCRIPT, "connected")
    writes.clear()
    server.echoes = False
    mine = [calls(SCRIPT, str(number)) for number in range(14)]
    assert [6, 6] == writes
    await server.until_asked(15)
    assert [6, 6, 2] == writes
    assert [str(number).encode() for number in range(14)] == server.last_arguments[1:]
    for peer, words in server.asked[1:]:
        peer.write(bulk(words[-1]))
    assert [str(number).encode() for number in range(14)] == await asyncio.gather(*mine)
    assert 1 == len(server.peers)


async def test_many_calls_at_once(calls, server):
    """Even those made before there is a connection: all go over one, each has its own answer."""
    answers = await asyncio.gather(*(calls(SCRIPT, str(number)) for number in range(300)))
    assert [str(number).encode() for number in range(300)] == answers
    assert 300 == len(server.asked)
    assert 1 == len(server.peers)


async def test_answers_in_parts(calls, server):
    """However the bytes arrive, even one by one: in order, each to its own call."""
    server.echoes = False
    mine = [calls(SCRIPT, one) for one in "abc"]
    await server.until_asked(3)
    peer = server.peers[0]
    for byte in bulk(b"first\r\nline") + b"*2\r\n:1\r\n$-1\r\n" + b":7\r\n":
        peer.write(bytes([byte]))
        await turns()
    assert [b"first\r\nline", [1, None], 7] == await asyncio.gather(*mine)


async def test_an_answer_that_others_wait_for_comes_first(calls, server):
    """Of those that arrive together; the rest keep their order."""
    server.echoes = False
    heard = []
    mine = [calls(SCRIPT, name, at_once=name == "b") for name in "abc"]
    for one, name in zip(mine, "abc", strict=True):
        one.add_done_callback(lambda _, name=name: heard.append(name))
    await server.until_asked(3)
    server.peers[0].write(b":1\r\n:2\r\n:3\r\n")
    assert [1, 2, 3] == await asyncio.gather(*mine)
    assert ["b", "a", "c"] == heard


async def test_an_early_answer_is_not_held_back(calls, server):
    """The answer to the first call is there before the server has said anything to the second."""
    server.echoes = False
    first, second = calls(SCRIPT, "a"), calls(SCRIPT, "b")
    await server.until_asked(2)
    server.peers[0].write(b":1\r\n$5\r\nha")
    assert 1 == await first
    assert not second.done()
    server.peers[0].write(b"lf!\r\n")
    assert b"half!" == await second


async def test_an_argument_that_cannot_be_sent(calls, server):
    """A text with a lone surrogate fails its own call, and no other."""
    first = calls(SCRIPT, "a")
    with pytest.raises(UnicodeEncodeError):
        calls(SCRIPT, "\ud800")
    assert [b"a", b"c"] == await asyncio.gather(first, calls(SCRIPT, "c"))
    assert [b"a", b"c"] == server.last_arguments


# -- scripts that the server does not know ---------------------------------------------------


async def test_forgotten_scripts(calls, server):
    """They are called again by their source; no other call's answer is affected."""
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


async def test_a_server_that_knows_no_script_whatever_it_is_told(calls, server):
    """That is a refusal; it is not tried again and again."""
    server.answers = [b"-NOSCRIPT No matching script.\r\n"] * 2
    with pytest.raises(BackendError, match="refused: NOSCRIPT"):
        await calls(SCRIPT, "a")
    assert [b"EVALSHA", b"EVAL"] == [words[0] for _, words in server.asked]


async def test_who_gives_up_before_it_is_repeated(calls, server):
    """Such a call is not sent again."""
    server.echoes = False
    first, second = calls(SCRIPT, "a"), calls(SCRIPT, "b")
    await server.until_asked(2)
    first.cancel()
    server.echoes = True
    server.peers[0].write(b"-NOSCRIPT No matching script.\r\n:2\r\n")
    assert 2 == await second
    assert b"c" == await calls(SCRIPT, "c")
    assert [b"a", b"b", b"c"] == server.last_arguments


@pytest.mark.parametrize("then", [b"-READONLY You can't write.\r\n", b"?riddle\r\n"])
async def test_a_forgotten_script_and_the_end_of_the_connection(calls, server, then):
    """If both arrive in one packet, no call waits forever."""
    server.echoes = False
    mine = [calls(SCRIPT, "a"), calls(SCRIPT, "b")]
    await server.until_asked(2)
    server.peers[0].write(b"-NOSCRIPT No matching script.\r\n" + then)
    assert [BackendUnavailable] * 2 == await outcomes(*mine)


# -- refusals --------------------------------------------------------------------------------


async def test_refusals_among_others(calls, server):
    """A refused call has its own error; the others have their answers, and the connection stays."""
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


async def test_a_refusal_in_words(calls, server):
    """It says where, and what the server said."""
    server.answers = [b"-ERR nonsense\r\n", b"-OOM full\r\n"]
    with pytest.raises(BackendError, match=r"^the server at there refused: ERR nonsense$"):
        await calls(SCRIPT, "a")
    with pytest.raises(BackendUnavailable, match=r"there refuses for now: OOM full$"):
        await calls(SCRIPT, "a")


@pytest.mark.parametrize(
    "refusal",
    [
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-ERR Error running script: @user_script: 12: -READONLY You can't write\r\n",
    ],
)
async def test_a_replica(calls, server, refusal):
    """A server that takes no writes may have been replaced: the next call connects anew."""
    server.echoes = False
    mine = [calls(SCRIPT, one) for one in "abc"]
    await server.until_asked(3)
    # What the same packet brings for others still reaches them.
    server.peers[0].write(refusal + b":1\r\n")
    assert [BackendUnavailable, 1, BackendUnavailable] == await outcomes(*mine)
    server.echoes = True
    assert b"x" == await calls(SCRIPT, "x")
    assert 2 == len(server.peers)


@pytest.mark.parametrize("word", [b"NOPERM", b"NOAUTH", b"WRONGPASS"])
async def test_a_login_that_was_served_before(calls, server, word):
    """The first call fails for good; later ones are to be repeated, after a new login."""
    refusal = b"-" + word + b" not you\r\n"
    server.answers = [refusal]
    assert [BackendError] == await outcomes(calls(SCRIPT, "a"))
    assert [b"b"] == await outcomes(calls(SCRIPT, "b"))
    server.answers = [refusal]
    assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "c"))
    for peer in server.peers:
        peer.cut()
    await server.until(lambda: not any(peer.is_open for peer in server.peers))
    server.answers = [refusal]
    while server.answers:  # the first may still notice the cut
        assert [BackendUnavailable] == await outcomes(calls(SCRIPT, "d"))
    assert [b"e"] == await outcomes(calls(SCRIPT, "e"))
