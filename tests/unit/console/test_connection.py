"""The console's one connection: away at first, lost, asked too long, closed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from roost_core import SyncRoost
from roost_core.errors import BackendError, BackendUnavailable, RoostError, WorkNotFound
from roost_plugins.console.connection import Connection
from tests.unit.cli.cli_harness import Bench

#: A limit that only a hang reaches. Seconds.
LIMIT = 30


class Away:
    """Makes connections to a queue in memory that is away at first."""

    def __init__(self, *errors: RoostError) -> None:
        self.bench = Bench()
        self.errors = list(errors)
        self.made = threading.Semaphore(0)

    def __call__(self) -> SyncRoost:
        """Make one."""
        self.made.release()
        if self.errors:
            raise self.errors.pop(0)
        return SyncRoost(self.bench.roost())


def test_it_asks_in_the_loop():
    """Answers and errors come out."""
    connection = Connection(Away())
    assert connection.open() is None
    assert 0 == connection.ask(lambda roost: roost.counts())["queued"]
    with pytest.raises(WorkNotFound):
        connection.ask(lambda roost: roost.work("nope").status())
    connection.close()
    connection.close()
    with pytest.raises(BackendUnavailable):
        connection.ask(lambda roost: roost.counts())


def test_a_server_that_is_away_is_waited_for():
    """Pages tell why; when it is there, they work, whatever was wrong in between."""
    away = Away(BackendUnavailable("nobody listens"), BackendUnavailable("x"), BackendError("no"))
    connection = Connection(away)
    assert "nobody listens" == connection.open()
    with pytest.raises(BackendUnavailable):
        connection.ask(lambda roost: roost.counts())
    assert connection.wait(LIMIT)
    assert 0 == connection.ask(lambda roost: roost.counts())["queued"]
    connection.close()


def test_what_waiting_cannot_mend_is_raised():
    """A refused login at the start."""
    with pytest.raises(BackendError, match="refused"):
        Connection(Away(BackendError("refused"))).open()


def test_it_can_be_closed_while_it_waits():
    """No thread is left behind."""
    connection = Connection(Away(*[BackendUnavailable("away")] * 1000))
    assert "away" == connection.open()
    connection.close()
    assert connection._thread is not None
    assert not connection._thread.is_alive()


def test_a_try_that_hangs_does_not_keep_the_end():
    """What it brings after that is closed, too."""
    began, hangs, left = threading.Event(), threading.Event(), threading.Event()

    class Late(SyncRoost):
        def __exit__(self, *error):
            super().__exit__(*error)
            left.set()

    bench = Bench()
    tries = iter([BackendUnavailable("away")])

    def connect():
        for error in tries:
            raise error
        began.set()
        hangs.wait(LIMIT)
        return Late(bench.roost())

    connection = Connection(connect)
    connection.open()
    assert began.wait(LIMIT)
    connection.close()
    hangs.set()
    assert left.wait(LIMIT)
    with pytest.raises(BackendUnavailable):
        connection.ask(lambda roost: roost.counts())


def test_a_question_has_a_limit():
    """What takes longer is cancelled; a time-out of its own is its own."""
    connection = Connection(Away())
    connection.open()
    with pytest.raises(BackendUnavailable, match=r"within 0\.01 s"):
        connection.ask(lambda _: asyncio.sleep(LIMIT), timeout=0.01)

    async def own(_):
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        connection.ask(own)
    connection.close()
