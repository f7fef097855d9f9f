"""The console and the API about work whose large texts are kept in the artifact store."""

from __future__ import annotations

import json

import pytest

from roost_core.backend import Commit, GoOn
from roost_core.codec.moved import value_ids
from roost_core.codec.snapshots import EncodedSnapshot
from roost_core.models import Snapshot
from tests.integration.api_bench import Api
from tests.integration.item_bench import items_on
from tests.integration.redis_bench import settings_for
from tests.integration.test_console_history import part, seen
from tests.integration.test_console_replay import looked, send, versions


@pytest.fixture
def home(tmp_path):
    """Return the folder of the artifacts."""
    return tmp_path


@pytest.fixture
def items(redis_server, home):
    """Give a console and a queue with work that has two pictures, and has failed."""
    with items_on(settings_for(redis_server, home=home)) as found:
        found.new("w-1")
        claim = found.claim("w-1")
        before = None
        for version in (1, 2, 3):
            pictures = [picture(n) for n in range(1, version)]
            snapshot = Snapshot("w-1", "none", version, "look", {"n": version, "all": pictures})
            before = EncodedSnapshot.of(snapshot, before, 1024)
            for text in before.values.values():
                values(found).put(text, work_id="w-1", name="lease-1")
            commit = Commit(f"t{version}", version - 1, before.raw, "look", GoOn())
            found.roost.run(lambda roost, one=commit: roost.ledger.commit(claim.lease, one))
        found.fail(claim, "over")
        yield found


def picture(n):
    """Return a text that is like no other."""
    return f"picture {n} " * 400


def values(items):
    """Return the store of the texts."""
    return items.roost.run(_store).values


async def _store(roost):
    return roost.store_of_queue


def lose(home, n):
    """Remove the file of a picture."""
    text = json.dumps(picture(n)).encode()
    one = [
        file
        for file in (home / "artifacts" / "values" / "blobs").glob("*/*")
        if file.read_bytes() == text
    ]
    one[0].unlink()
    return one[0].name


def test_they_are_where_they_belong(items):
    """In the state, in a difference, in the list of versions, in an earlier version."""
    stored = items.roost.run(lambda roost: roost.ledger.read("w-1"))
    assert 2 == len(value_ids(stored.snapshot))
    assert "picture 2 picture 2" in seen(items, "/work/w-1")
    assert "picture 2 picture 2" in seen(items, "/work/w-1/diff?from=2&to=3")
    assert "picture 1 picture 1" in seen(items, "/work/w-1/version/2")
    assert "u0072" not in items.page("w-1")
    listed = part(items, "/work/w-1/history")
    assert "cannot be read" not in listed
    found = Api(items.site, items).get("/work/w-1/diff?old=2&new=3")
    assert 200 == found.status
    assert picture(2) in found.text


def test_a_replay_has_them(items):
    """With an edit beside them; the fork can be read when the work it comes from is gone."""
    text, form = looked(items, version="3", lines="n=9")
    assert "changed /n before 3 → after 9" in text
    done = send(items, form)
    assert 303 == done.status
    new = done.headers["location"].split("?")[0].rsplit("/", 1)[1]
    assert [4, 3, 2, 1] == versions(items, new)
    items.roost.work("w-1").drop()
    assert {"n": 9, "all": [picture(1), picture(2)]} == items.roost.work(new).snapshot().data
    assert {"n": 2, "all": [picture(1)]} == items.roost.work(new).snapshot_at(2).data


def test_one_is_lost(items, home):
    """Each page says what it lacks, and which versions can be read; nothing else breaks."""
    name = lose(home, 2)
    assert name in part(items, "/work/w-1/history")
    assert name in seen(items, "/work/w-1/version/3", 409)
    assert name in seen(items, "/work/w-1/diff?from=2&to=3", 409)
    assert name in seen(items, "/work/w-1/replay?from=3")
    assert "a text of" in items.page("w-1")
    assert "picture 1" in seen(items, "/work/w-1/version/2")
    _, form = looked(items, version="2")
    assert 303 == send(items, form).status
    api = Api(items.site, items)
    for path in ("/work/w-1/snapshot", "/work/w-1/diff?old=2&new=3"):
        found = api.get(path)
        assert 400 <= found.status < 600
        assert name in found.text
    shown = api.get("/work/w-1").json
    assert ("failed", None) == (shown["meta"]["state"], shown["snapshot"])
    assert name in shown["problem"]
    assert '"problem": ' in items.site.get("/work/w-1/json").text
    listed = api.get("/work/w-1/history").json["versions"]
    lacking = {one["version"]: one["problem"] for one in listed}
    assert name in lacking[3]
    assert lacking[2] is None
