"""The server ends and starts again on its files: what was acknowledged is there, none is blamed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from roost_core import Settings
from roost_core.errors import BackendUnavailable
from roost_core.models import State
from tests.chaos.crew import Crew, accepted_versions, ask, counts, enqueue, events, eventually
from tests.chaos.havoc import ON_DISK
from tests.servers import Server, need, redis_binary, server_in, start_server

#: Notes a fault and how often it was injected.
Tally = Callable[[int, str, int], None]
STEPS = 8


def settings_of(server: Server, home: Path) -> Settings:
    """Make the settings of a queue."""
    return Settings(home=home, extra={"redis_url": server.url}, lease_ttl=1.0)


def versions(settings: Settings) -> dict[str, int]:
    """Return which version each work item has."""
    rows: Any = ask(settings, lambda roost: roost.list(limit=1000))
    return {row.meta.work_id: row.meta.version for row in rows}


def check(settings: Settings, work_ids: list[str]) -> None:
    """Assert that all is done, each version once, and that no step has failed or was blamed."""
    found = events(settings)
    expected = {work_id: list(range(1, STEPS + 2)) for work_id in work_ids}
    assert expected == accepted_versions(found)
    assert set() == {one.kind for one in found} & {"attempt_failed", "dead_lettered"}
    rows: Any = ask(settings, lambda roost: roost.list(limit=1000))
    assert {(0, 0)} == {(row.meta.recoveries, row.meta.suspicions) for row in rows}


@pytest.mark.parametrize("end", [Server.terminate, Server.kill])
def test_restarts(
    server_root: Path, tmp_path: Path, tally: Tally, end: Callable[[Server], None]
) -> None:
    """Fault 5: again and again, by SIGTERM or kill -9, while two workers live on."""
    rounds = 5
    binary = need(redis_binary(), "redis-server")
    with server_in(binary, server_root / "restarts", *ON_DISK) as server:
        settings = settings_of(server, tmp_path)
        work_ids = enqueue(settings, 40, max_recoveries=1)
        with Crew(tmp_path, settings, steps=STEPS, pause=0.2) as crew:
            crew.start()
            crew.start()
            try:
                for number in range(rounds):
                    crew.await_more(f"work, {number}")
                    before = versions(settings)
                    end(server)
                    server = start_server(binary, server.folder, *ON_DISK)
                    after = versions(settings)
                    assert {} == {one: n for one, n in before.items() if after[one] < n}
                assert counts(settings)[State.DONE] < len(work_ids)
                eventually(lambda: counts(settings)[State.DONE] == len(work_ids), "all done")
                assert [None, None] == [worker.poll() for worker in crew.workers]
                check(settings, work_ids)
            finally:
                server.kill()
    what = "SIGTERM" if end is Server.terminate else "kill -9"
    tally(5, f"{what} of the server, and a start on its files", rounds)


def test_loading(server_root: Path, tmp_path: Path, tally: Tally) -> None:
    """Fault 14: commands and workers wait for a server that is still reading its files."""
    rounds = 2
    binary = need(redis_binary(), "redis-server")
    slow = ("--key-load-delay", "300")  # microseconds for each command in its file
    with server_in(binary, server_root / "loading", *ON_DISK) as server:
        # Enough to read: it says that it is loading once in 1,024 commands.
        with Redis(unix_socket_path=str(server.socket)) as client, client.pipeline() as pipe:
            for _ in range(5000):
                pipe.incr("of somebody else")
            pipe.execute()
        settings = settings_of(server, tmp_path)
        work_ids = enqueue(settings, 20, max_recoveries=1)
        with (
            ThreadPoolExecutor(1) as pool,
            Crew(tmp_path, settings, steps=STEPS, pause=0.4) as crew,
        ):
            crew.start()
            crew.start()
            try:
                for number in range(rounds):
                    crew.await_more(f"work, {number}")
                    server.kill()
                    options = (*ON_DISK, *slow)
                    coming = pool.submit(start_server, binary, server.folder, *options)
                    eventually(
                        lambda one=server: is_loading(one),  # type: ignore[misc]  # a default binds
                        "the server loads",
                        patience=20.0,
                    )
                    # Commands meanwhile get one line that says so, or their answer in the end.
                    with contextlib.suppress(BackendUnavailable):
                        assert len(work_ids) == sum(counts(settings).values())
                    server = coming.result()
                eventually(lambda: counts(settings)[State.DONE] == len(work_ids), "all done")
                assert [None, None] == [worker.poll() for worker in crew.workers]
                check(settings, work_ids)
                assert b"refuses for now: LOADING" in crew.log.read_bytes()
            finally:
                server.kill()
    tally(14, "LOADING", rounds)


def is_loading(server: Server) -> bool:
    """Return whether a server says that it is loading."""
    try:
        with Redis(
            unix_socket_path=str(server.socket), retry=Retry(NoBackoff(), 0), socket_timeout=20
        ) as client:
            client.ping()
    except BusyLoadingError:
        return True
    except RedisError:
        pass
    return False
