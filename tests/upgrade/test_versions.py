"""Kept versions and bases, beside an older Roost that knows of neither."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from roost_core import State
from roost_core.backend import StoredHistory
from roost_core.settings import Settings
from roost_plugins.redis_saq.ledger.ledger import RedisLedger
from roost_plugins.redis_saq.server import RedisServer
from tests.servers import Server
from tests.upgrade.pinned import ROOT, commit_before, unpack
from tests.upgrade.test_index import _PURGE, python
from tests.upgrade.test_pinned import PATIENCE, Side, ended, eventually, unblamed

_T = TypeVar("_T")

FIELDS = "roost_plugins/redis_saq/record/fields.py"
ENGINE = """
from roost_core import hookimpl

engine_id = "slow"


@hookimpl
def step(snapshot, item):
    rows = [*snapshot.data.get("rows", []), snapshot.version]
    return snapshot.evolve(
        data={"pad": "x" * item.payload["pad"], "rows": rows},
        is_finished=len(rows) >= item.payload["steps"],
        next_step_delay_seconds=0.05,
    )
"""
SMALL, LARGE = 10, 20_000


@pytest.fixture
def sides(redis_server: Server, tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    """Return one that does not know of versions, and today's."""
    (tmp_path / "slow.py").write_text(ENGINE)
    older = unpack(tmp_path / "older", commit_before('"anchor"', FIELDS))
    namespace = f"t-{uuid.uuid4().hex}"
    both = [Side(tree, tmp_path, redis_server.url, namespace) for tree in (older, ROOT)]
    yield both[0], both[1]
    for worker in [*both[0].workers, *both[1].workers]:
        worker.kill()
        worker.wait()


def enqueue(side: Side, pad: int, steps: int = 60) -> str:
    """Enqueue work whose state has at least this many bytes; return the id."""
    payload = json.dumps({"pad": pad, "steps": steps})
    return side.run("enqueue", "--engine", "slow", "--payload", payload).strip()


def asked(side: Side, ask: Callable[[RedisLedger], Awaitable[_T]]) -> _T:
    """Ask the ledger something, as today's Roost does."""

    async def use() -> _T:
        environment = side.environment
        extra = {"redis_url": environment["ROOST_REDIS_URL"]}
        server = RedisServer(Settings(extra=extra, namespace=environment["ROOST_NAMESPACE"]))
        await server.open()
        try:
            return await ask(server.ledger("default"))
        finally:
            await server.close()

    return asyncio.run(use())


def history_of(side: Side, work_id: str) -> StoredHistory:
    """Return a work item's versions, after a look at each."""
    found = asked(side, lambda ledger: ledger.history(work_id))
    assert found is not None
    for version in found.versions:
        data = json.loads(found.snapshot(version)).get("data", {})
        assert list(range(1, version)) == data.get("rows", [])
    return found


def worked(side: Side, *work_ids: str, until: int) -> None:
    """Let a worker run until all of these are at a version, or beyond."""
    worker = side.worker()
    deadline = time.monotonic() + PATIENCE
    while min(int(str(side.meta(one)["version"])) for one in work_ids) < until:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert 0 == ended(worker)


@pytest.mark.parametrize("pad", [SMALL, LARGE])
def test_the_olders_work_gets_a_history(sides: tuple[Side, Side], pad: int) -> None:
    """From the version on that today's worker found."""
    older, today = sides
    work_id = enqueue(older, pad, steps=30)
    worked(older, work_id, until=5)
    first = int(str(today.meta(work_id)["version"]))
    assert (first,) == history_of(today, work_id).versions
    worker = today.worker()
    eventually(today, [work_id], State.DONE)
    assert 0 == ended(worker)
    history = history_of(today, work_id)
    assert tuple(range(31, first - 1, -1)) == history.versions
    assert history.commit(first) is None
    unblamed(today, [work_id])


def see_left(older: Side, today: Side, work_id: str, small: str) -> None:
    """Check that the older leaves work, and takes small work, and that today's ends both."""
    versions = [int(str(today.meta(one)["version"])) for one in (work_id, small)]
    worked(older, small, until=versions[1] + 8)
    left = today.meta(work_id)
    assert versions[0] == left["version"]
    assert State.FAILED.value != left["state"]
    unblamed(today, [work_id, small])
    worker = today.worker()
    eventually(today, [work_id, small], State.DONE)
    assert 0 == ended(worker)


def test_the_older_leaves_what_changes_follow(sides: tuple[Side, Side]) -> None:
    """It would take the base for the newest version. Today's worker continues it."""
    older, today = sides
    large, small = enqueue(today, LARGE), enqueue(today, SMALL)
    worked(today, large, small, until=6)
    before = history_of(today, large)
    assert before.base_version < before.work.version
    assert b'{"schema":3,' == (before.base or b"")[:12]
    see_left(older, today, large, small)
    assert tuple(range(61, 60 - 40, -1)) == history_of(today, large).versions[:41]
    unblamed(today, [large, small])


def test_steps_of_an_older_worker_are_a_gap(sides: tuple[Side, Side]) -> None:
    """Versions that today's workers made can be read before and after it."""
    older, today = sides
    work_id = enqueue(today, SMALL, steps=40)
    worked(today, work_id, until=8)
    begin = int(str(today.meta(work_id)["version"]))
    worked(older, work_id, until=begin + 5)
    end = int(str(today.meta(work_id)["version"]))
    assert {end} | set(range(1, begin)) == set(history_of(today, work_id).versions)
    worker = today.worker()
    eventually(today, [work_id], State.DONE)
    assert 0 == ended(worker)
    history = history_of(today, work_id)
    assert {*range(end, 42), *range(1, begin)} == set(history.versions)
    assert [None] * (end - begin) == [history.commit(one) for one in range(begin + 1, end + 1)]
    unblamed(today, [work_id])


def test_versions_that_an_older_purge_leaves(sides: tuple[Side, Side]) -> None:
    """A repair removes them; until then they show in no later life of the id."""
    older, today = sides
    ids = [enqueue(today, pad, steps=10) for pad in (SMALL, LARGE)]
    worker = today.worker()
    eventually(today, ids, State.DONE)
    assert 0 == ended(worker)
    python(older, _PURGE)

    async def left(ledger: RedisLedger) -> set[str]:
        names = await ledger.client.hkeys(ledger.keys.key("work"))
        return {name.decode() for name in names}

    versions = {f"{one} v{version}" for one in ids for version in range(1, 12)}
    assert versions | {f"{one} a{slot}" for one in ids for slot in range(3)} == asked(today, left)
    payload = json.dumps({"pad": SMALL, "steps": 30})
    words = ("enqueue", "--engine", "slow", "--payload", payload, "--work-id", ids[0])
    assert ids[0] == today.run(*words).strip()
    worked(today, ids[0], until=3)
    newest = int(str(today.meta(ids[0])["version"]))
    assert tuple(range(newest, 0, -1)) == history_of(today, ids[0]).versions
    said = today.run("doctor", "--repair")
    assert "versions or answers in work belonged to work, or a life of it, that is gone" in said
    found = asked(today, left)
    kept = {name for name in found if " v" in name}
    assert {f"{ids[0]} v{version}" for version in range(1, newest + 1)} == kept
    assert {f"{ids[0]} a{slot}" for slot in range(3)} == {name for name in found if " a" in name}
    assert tuple(range(newest, 0, -1)) == history_of(today, ids[0]).versions


#: Brought texts that are kept elsewhere.
MOVED = ("MOVED_SCHEMA", "roost_core/codec/moved.py")


@pytest.mark.parametrize("before", [('"anchor"', FIELDS), MOVED], ids=["versions", "texts"])
@pytest.mark.parametrize("pad", [2_000, LARGE])
def test_the_older_leaves_texts_that_are_kept_elsewhere(
    redis_server: Server, tmp_path: Path, before: tuple[str, str], pad: int
) -> None:
    """It would give the engine what stands in for them. Today's worker continues the work."""
    (tmp_path / "slow.py").write_text(ENGINE)
    tree = unpack(tmp_path / "older", commit_before(*before))
    namespace = f"t-{uuid.uuid4().hex}"
    older, today = (Side(one, tmp_path, redis_server.url, namespace) for one in (tree, ROOT))
    try:
        (tmp_path / "home" / "artifacts").mkdir(parents=True)
        today.environment |= {"ROOST_ARTIFACT_SHARED": "yes", "ROOST_LARGE_VALUES": "1024"}
        moved, small = enqueue(today, pad), enqueue(today, SMALL)
        worked(today, moved, small, until=6)
        found = asked(today, lambda ledger: ledger.read(moved))
        assert found is not None
        assert b'{"schema":4,' == (found.snapshot or b"")[:12]
        see_left(older, today, moved, small)
        unblamed(today, [moved, small])
        whole = json.loads(today.run("status", moved))["snapshot"]["data"]
        assert ("x" * pad, [*range(1, 61)]) == (whole["pad"], whole["rows"])
    finally:
        for one in [*older.workers, *today.workers]:
            one.kill()
            one.wait()
