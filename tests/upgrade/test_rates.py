"""What workers count, beside a Roost that does not count failures."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from tests.servers import Server
from tests.upgrade.pinned import ROOT, commit_before, unpack
from tests.upgrade.test_index import python
from tests.upgrade.test_pinned import Side

RATES = "roost_plugins/redis_saq/lua/lib/rates.lua"
#: Renews as a worker of the engine `slow` that has taken three steps; prints what is known then.
RENEW = """
import asyncio
import json
import sys

from roost_core import Roost, __version__
from roost_core.backend import StepTally, Tally
from roost_core.codec.records import encode_model
from roost_core.codec.times import from_milliseconds
from roost_core.models import WorkerInfo

more = {}
if sys.argv[1] == "today":
    from roost_core.backend import FailureTally

    more["failures"] = (FailureTally("slow", 5, 2),)
info = WorkerInfo(sys.argv[1], "host", 1, ("slow",), 1, 60.0, __version__, from_milliseconds(0))


async def main():
    async with Roost.connect() as roost:
        tally = Tally((("slow", 2),), (StepTally("slow", "", 3, 30, 10),), **more)
        renewer = roost.ledger.renewer()
        await asyncio.to_thread(renewer.renew, encode_model(info), (), 60_000, tally)
        renewer.close()
        facts = await roost.ledger.facts(sys.argv[2])
        told = [facts.pace.steps, facts.pace.leases, facts.usual.count]
        if more:
            minutes = (await roost.ledger.survey()).minutes
            for name in ("steps", "failed", "dead"):
                told.append(sum(getattr(one, name) for one in minutes))
        print(json.dumps(told))


asyncio.run(main())
"""


@pytest.fixture
def sides(redis_server: Server, tmp_path: Path) -> tuple[Side, Side]:
    """Return one that does not know of failures, and today's."""
    (tmp_path / "slow.py").write_text("")
    commit = commit_before("attempts dead", RATES)
    namespace = f"t-{uuid.uuid4().hex}"
    trees = (unpack(tmp_path / "older", commit), ROOT)
    older, today = (Side(tree, tmp_path, redis_server.url, namespace) for tree in trees)
    for side in (older, today):
        del side.environment["ROOST_PLUGINS"]
    return older, today


def test_both_add_to_the_same_minutes(sides: tuple[Side, Side]) -> None:
    """Neither loses what the other counts. The hour has the newer one's steps and failures."""
    older, today = sides
    payload = ("--payload", "null", "--any-engine")
    work_id = older.run("enqueue", "--engine", "slow", *payload).strip()
    expected = {"older": [3, 2, 3], "today": [6, 4, 6, 3, 5, 2]}
    assert expected["older"] == json.loads(python(older, RENEW, "older", work_id))
    assert expected["today"] == json.loads(python(today, RENEW, "today", work_id))
    assert [9, 6, 9] == json.loads(python(older, RENEW, "older", work_id))
    assert [12, 8, 12, 6, 10, 4] == json.loads(python(today, RENEW, "today", work_id))
