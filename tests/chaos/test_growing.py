"""States that grow, while workers, the server and calls are ended: every version can be read back.

Each run of a step brings other data, so a change that was joined to another run's version, or made
twice, would show.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from roost_core import Roost, Settings
from roost_core.codec.snapshots import decode_snapshot
from roost_core.models import State
from tests.chaos.crew import Crew, accepted_versions, ask, counts, enqueue, events, eventually
from tests.chaos.havoc import ON_DISK
from tests.chaos.ledger_engine import digest
from tests.chaos.proxy import Harm, Plan, proxied
from tests.servers import Server, need, redis_binary, server_in, start_server

#: Notes a fault and how often it was injected.
Tally = Callable[[int, str, int], None]

STEPS = 24
#: Of states that are small for ever, that become large on the way, and that are large at once.
SIZES = (10, 15_800, 40_000)


def settings_of(server: Server, home: Path, name: str = "growing") -> Settings:
    """Make the settings of a queue."""
    return Settings(home=home, namespace=name, extra={"redis_url": server.url}, lease_ttl=1.0)


def enqueue_growing(settings: Settings, each: int, **payload: int) -> list[str]:
    """Enqueue some work of each size."""
    return [
        work_id
        for size in SIZES
        for work_id in enqueue(settings, each, payload={"grow": size, **payload}, max_recoveries=20)
    ]


def all_done(settings: Settings, work_ids: list[str]) -> Callable[[], bool]:
    """Return a function that asks whether all of it is done."""
    return lambda: counts(settings)[State.DONE] == len(work_ids)


def check_versions(
    settings: Settings,
    crew: Crew,
    work_ids: list[str],
    kept: int = STEPS + 1,
    steps: int = STEPS,
) -> int:
    """Assert that each version is there, as some run of its step returned it and the next began.

    :param kept: how many are kept at least.
    :returns: how many were looked at that are stored as a change.
    """
    returned = defaultdict(set)
    for line in Path(f"{crew.ledger}.returned").read_text().splitlines():
        work_id, version, found = line.split()
        returned[work_id, int(version)].add(found)
    accepted = accepted_versions(events(settings))

    async def look(roost: Roost) -> int:
        changes = 0
        for work_id in work_ids:
            assert list(range(1, steps + 2)) == accepted[work_id]
            history = await roost.ledger.history(work_id)
            assert history is not None
            assert tuple(range(steps + 1, steps + 1 - kept, -1)) == history.versions[:kept]
            later: list[object] | None = None
            for version in history.versions:
                if version == 1:
                    break
                raw = await asyncio.to_thread(roost.texts.whole, history.snapshot(version), work_id)
                data = dict(decode_snapshot(raw).data)
                assert digest(data) in returned[work_id, version], (work_id, version)
                assert later is None or later[:-1] == data["rows"]
                later = data["rows"]
            changes += sum(one.back.startswith(b"~") for one in history.commits)
        return changes

    return ask(settings, look)  # type: ignore[return-value]


def kill_by_turns(crew: Crew, dice: random.Random, is_done: Callable[[], bool]) -> int:
    """Kill and replace one of two workers after the other, and wait for the end; return how often.

    Each has begun a step before.
    """
    kills = 0
    while kills < 12 and not is_done():
        index = dice.randrange(2)
        pid = crew.workers[index].pid
        eventually(lambda pid=pid: pid in crew.last_begun() or is_done(), f"a step after {kills}")
        time.sleep(dice.uniform(0.0, 0.5))
        crew.replace(index)
        kills += 1
    eventually(is_done, "all done")
    return kills


@pytest.mark.parametrize("slice_steps", [1, 3, 50])
def test_workers_killed(server_root: Path, tmp_path: Path, tally: Tally, slice_steps: int) -> None:
    """Two workers take turns, and one after the other is killed."""
    dice = random.Random(slice_steps)
    with server_in(need(redis_binary(), "redis-server"), server_root / "grow") as server:
        settings = settings_of(server, tmp_path)
        work_ids = enqueue_growing(settings, 4)
        is_done = all_done(settings, work_ids)
        with Crew(tmp_path, settings, steps=STEPS, pause=0.05) as crew:
            for _ in range(2):
                crew.start(ROOST_SLICE_STEPS=str(slice_steps))
            kills = kill_by_turns(crew, dice, is_done)
            assert check_versions(settings, crew, work_ids) > len(work_ids)
        tally(1, "kill -9 of workers whose states grow", kills)


@pytest.mark.parametrize(("steps", "kept"), [(STEPS, STEPS + 1), (80, 4)])
def test_texts_kept_elsewhere(
    server_root: Path, tmp_path: Path, tally: Tally, steps: int, kept: int
) -> None:
    """Large texts are there for every version, while workers are killed that store and drop them.

    When the work goes, nothing of them is left.
    """
    dice = random.Random(kept)
    with server_in(need(redis_binary(), "redis-server"), server_root / "texts") as server:
        settings = settings_of(server, tmp_path, "texts").evolve(artifact_shared="yes")
        (tmp_path / "artifacts").mkdir()
        work_ids = enqueue_growing(settings, 3, images=3)
        is_done = all_done(settings, work_ids)
        many = {"ROOST_LARGE_VALUES": "1024", "ROOST_HISTORY_VERSIONS": str(kept)}
        with Crew(tmp_path, settings, steps=steps, pause=0.03) as crew:
            for _ in range(2):
                crew.start(ROOST_SLICE_STEPS="3", ROOST_X_TIDY="yes", **many)
            kills = kill_by_turns(crew, dice, is_done)
            check_versions(settings, crew, work_ids, kept, steps)
        texts = tmp_path / "artifacts" / "values"
        found = len([*texts.glob("blobs/*/*")])
        # Versions are counted every 31 steps, so twice as many may be there, and what they name.
        assert steps * len(work_ids) <= found if kept > steps else found < 45 * len(work_ids)

        async def drop(roost: Roost) -> None:
            for work_id in work_ids:
                await roost.work(work_id).drop()

        ask(settings, drop)
        assert [] == [*texts.glob("blobs/*/*"), *texts.glob("records/*/*"), *texts.glob("works/*")]
        tally(1, "kill -9 of workers whose texts are kept elsewhere", kills)


def test_server_killed(server_root: Path, tmp_path: Path, tally: Tally) -> None:
    """And started on its files, while two workers live on."""
    rounds = 5
    binary = need(redis_binary(), "redis-server")
    with server_in(binary, server_root / "grow-server", *ON_DISK) as server:
        settings = settings_of(server, tmp_path)
        work_ids = enqueue_growing(settings, 4)
        with Crew(tmp_path, settings, steps=STEPS, pause=0.1) as crew:
            crew.start(ROOST_SLICE_STEPS="3")
            crew.start(ROOST_SLICE_STEPS="50")
            try:
                for number in range(rounds):
                    crew.await_more(f"work, {number}")
                    server.kill()
                    server = start_server(binary, server.folder, *ON_DISK)
                eventually(all_done(settings, work_ids), "all done")
                assert check_versions(settings, crew, work_ids) > len(work_ids)
            finally:
                server.kill()
    tally(5, "kill -9 of the server while states grow", rounds)


@pytest.mark.parametrize("harm", [Harm.CUT_BEFORE, Harm.CUT_AFTER, Harm.SWALLOW_REPLY])
def test_calls_harmed(
    redis_server: Server, server_root: Path, tmp_path: Path, tally: Tally, harm: Harm
) -> None:
    """Commits and claims are cut or left without an answer, for longer than a lease as well."""
    settings = settings_of(redis_server, tmp_path, f"grow-{harm.name.lower()}")
    work_ids = enqueue_growing(settings, 3)
    with (
        proxied(redis_server.socket, server_root / "g", settings) as proxy,
        Crew(tmp_path, settings, steps=STEPS, pause=0.05) as crew,
    ):
        for seconds in (0.3, 1.5):
            for script in ("claim", "advance", "commit"):
                proxy.plan(*[Plan(script, harm, seconds=seconds)] * 4)
        crew.start(proxy.url, ROOST_SLICE_STEPS="3")
        crew.start(proxy.url, ROOST_SLICE_STEPS="2")
        eventually(all_done(settings, work_ids), "all done")
        assert check_versions(settings, crew, work_ids) > len(work_ids)
        assert proxy.hits["advance", harm] + proxy.hits["commit", harm] >= 8
        tally(4, f"a call about growing states {harm}", proxy.hits.total())
