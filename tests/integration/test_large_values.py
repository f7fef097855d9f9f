"""Large texts of snapshots, on a real server and a real folder, through the commands."""

from __future__ import annotations

import json
import time

import pytest
import redis

from roost_core.backend import Reach
from roost_core.settings import Settings
from roost_plugins import fs_artifacts
from roost_plugins.redis_saq.server import RedisServer
from tests.integration.artifact_bench import left
from tests.integration.cli_bench import Shell

#: An engine that takes a screenshot in each step, and checks those that it has.
ENGINE = """
from roost_core import hookimpl

engine_id = "look"


def image(n):
    return f'{n} "\\u00e9" ' * 32000


@hookimpl
def step(snapshot, item):
    data = dict(snapshot.data)
    images = data.get("images", [])
    assert [image(n) for n in range(len(images))] == images
    data["images"] = [*images, image(len(images))]
    if len(images) + 1 == item.payload["steps"]:
        return snapshot.finish(data=data)
    # A worker that is to end when nothing is ready does so.
    nap = 0.05 if len(images) % 2 == item.payload.get("nap") else None
    return snapshot.evolve(step="look", data=data, next_step_delay_seconds=nap)
"""
SHARED = {"ROOST_ARTIFACT_SHARED": "yes"}


def image(n):
    """Return what the engine has for an image."""
    return f'{n} "é" ' * 32000


@pytest.fixture
def look(shell):
    """Write the engine; return its option."""
    (shell.folder / "look.py").write_text(ENGINE)
    return ("--plugin", "./look.py")


@pytest.fixture
def texts(shell):
    """Return the folder of the texts."""
    return shell.folder / "home" / "artifacts" / "values"


def run(shell, look, *, steps=5, nap=None, work_id="w-1", **environment):
    """Run a work item as far as it goes, and return its id."""
    payload = {"steps": steps} if nap is None else {"steps": steps, "nap": nap}
    shell.enqueue("look", payload, "--work-id", work_id)
    work(shell, look, **environment)
    return work_id


def work(shell, look, **environment):
    """Let a worker run what is ready."""
    done = beside(shell, **environment).run("worker", *look, "--burst")
    assert 0 == done.returncode, done.stderr


def until(shell, look, work_id, state):
    """Let workers run until a work item is in a state."""
    for _ in range(50):
        work(shell, look)
        if shell.meta(work_id)["state"] == state:
            return
        time.sleep(0.05)
    pytest.fail(f"{work_id} is {shell.meta(work_id)['state']}")


def beside(shell, **environment):
    """Return a shell whose folder is shared, unless the variables say something else."""
    (shell.folder / "home" / "artifacts").mkdir(parents=True, exist_ok=True)
    return Shell(shell.folder, {**shell.variables, **SHARED, **environment})


def images_of(shell, work_id, *options):
    """Return the images of a snapshot."""
    return json.loads(shell.ok("status", work_id, *options))["snapshot"]["data"]["images"]


def blobs(texts):
    """Return the files of the texts, those that were stored first first."""
    found = [one for one in texts.glob("blobs/*/*") if one.is_file()]
    return sorted(found, key=lambda one: one.stat().st_mtime_ns)


def stored_bytes(shell, redis_server):
    """Return how many bytes the server has for all work items."""
    client = redis.Redis(unix_socket_path=str(redis_server.socket))
    namespace = shell.variables["ROOST_NAMESPACE"]
    keys = client.keys(f"roost:*{namespace}*")
    return sum(client.memory_usage(key) or 0 for key in keys)


def test_they_are_beside_the_server(shell, look, texts, redis_server):
    """The server's memory has none of them, and whoever looks sees all."""
    before = stored_bytes(shell, redis_server)
    run(shell, look)
    assert 5 == len(blobs(texts))
    assert stored_bytes(shell, redis_server) - before < 30_000
    assert [image(n) for n in range(5)] == images_of(shell, "w-1")
    assert [image(0)] == images_of(shell, "w-1", "--version", "2")
    difference = json.loads(shell.ok("diff", "w-1", "4", "5", "--json", "--reveal"))
    assert [{"op": "add", "path": "/images/3", "value": image(3)}] == [
        one for one in difference["patch"] if one["path"].startswith("/images")
    ]
    versions = json.loads(shell.ok("history", "w-1", "--json"))
    sizes = {one["version"]: one["size_bytes"] for one in versions}
    assert sizes[6] > 5 * len(json.dumps(image(0), ensure_ascii=False).encode())
    assert all(one["changed_bytes"] > 256_000 for one in versions if one["version"] > 1)
    assert [] == json.loads(shell.ok("status", "w-1"))["snapshot"].get("artifacts", [])


def test_not_where_a_worker_may_be_elsewhere(shell, look, texts):
    """Unless the settings say that the folder is shared."""
    run(shell, look, ROOST_ARTIFACT_SHARED="no")
    assert not texts.exists()
    assert [image(n) for n in range(5)] == images_of(shell, "w-1")


def test_only_from_a_size_on(shell, look, texts):
    """Which is a setting; 0 is never."""
    run(shell, look, ROOST_LARGE_VALUES="0")
    run(shell, look, work_id="w-2", ROOST_LARGE_VALUES="500000")
    assert not texts.exists()
    run(shell, look, work_id="w-3", ROOST_LARGE_VALUES="1024")
    assert 5 == len(blobs(texts))
    wrong = beside(shell, ROOST_LARGE_VALUES="100").run("worker", *look, "--burst")
    assert 2 == wrong.returncode
    assert "ROOST_LARGE_VALUES" in wrong.stderr
    assert "expected 1024 to 8388608, found 100, or 0" in wrong.stderr


def test_whose_folder_it_is():
    """One machine's, and so is Roost's own server; any other may be reached from anywhere."""
    own, other = Settings(), Settings(extra={"redis_url": "redis://127.0.0.1:1/0"})
    assert (Reach.MACHINE, Reach.NETWORK) == (RedisServer(own).reach, RedisServer(other).reach)
    assert Reach.NETWORK is RedisServer(Settings(extra={"redis_url": "unix:///tmp/x"})).reach
    store = fs_artifacts.artifact_store(Settings())
    shared = fs_artifacts.artifact_store(Settings(extra={"artifact_shared": "yes"}))
    assert (Reach.MACHINE, Reach.NETWORK) == (store.reach, shared.reach)
    assert Reach.NETWORK is shared.of_queue("a", "b").values.reach


def test_another_worker_goes_on(shell, look, texts):
    """With what it reads in the folder."""
    run(shell, look, steps=6, nap=0)
    assert [image(0)] == images_of(shell, "w-1")
    until(shell, look, "w-1", "done")
    assert [image(n) for n in range(6)] == images_of(shell, "w-1")
    assert 6 == len(blobs(texts))
    workers = {line.split("\t")[3] for line in shell.ok("history", "w-1").splitlines()}
    assert 4 == len(workers)


def test_one_that_is_lost(shell, look, texts):
    """That is said of each version that names it; the others can be read, and continued with."""
    run(shell, look)
    third = blobs(texts)[2]
    third.unlink()
    lines = [line.split("\t") for line in shell.ok("history", "w-1").splitlines()]
    lost = {int(line[0]) for line in lines if third.name in line[-1]}
    assert {4, 5, 6} == lost
    shown = shell.run("status", "w-1")
    assert 1 == shown.returncode
    assert f"no artifact {third.name} in {texts}" in shown.stderr
    found = json.loads(shown.stdout)
    assert ("done", None) == (found["meta"]["state"], found["snapshot"])
    assert third.name in found["problem"]
    refused = shell.run("replay", "w-1", "--from-version", "5")
    assert 1 == refused.returncode
    assert "version 5 of w-1: a text of" in refused.stderr
    assert [image(0), image(1)] == images_of(shell, "w-1", "--version", "3")
    done = shell.run("replay", "w-1", "--from-version", "3", "--in-place")
    assert 0 == done.returncode
    work(shell, look)
    assert [image(n) for n in range(5)] == images_of(shell, "w-1")


def test_one_that_is_damaged(shell, look, texts):
    """The work item that needs it is a dead letter that says so; others are not touched."""
    run(shell, look, steps=6, nap=0)
    run(shell, look, steps=1, work_id="w-2")
    shell.enqueue("look", {"steps": 1}, "--work-id", "w-3")
    first = blobs(texts)[0]
    whole = first.read_bytes()
    first.write_bytes(b'"damaged"')
    until(shell, look, "w-1", "failed")
    error = shell.meta("w-1")["error"]
    assert "corrupt" == error["kind"]
    assert f"artifact {first.name} is damaged" in error["message"]
    assert "roost replay w-1 --from-version N --in-place" in shell.ok("why", "w-1")
    first.write_bytes(whole)
    shell.ok("retry", "w-1")
    until(shell, look, "w-1", "done")
    assert [image(n) for n in range(6)] == images_of(shell, "w-1")


def test_a_fork_has_its_own(shell, look, texts):
    """Each is kept as long as either needs it."""
    run(shell, look)
    done = shell.run("replay", "w-1", "--from-version", "3", "--work-id", "w-2")
    assert 0 == done.returncode, done.stderr
    shell.ok("drop", "w-1", "--yes")
    assert 2 == len(blobs(texts))
    for version in (2, 3):
        images = [image(n) for n in range(version - 1)]
        assert images == images_of(shell, "w-2", "--version", str(version))
    work(shell, look)
    assert [image(n) for n in range(5)] == images_of(shell, "w-2")
    shell.ok("drop", "w-2", "--yes")
    assert [] == left(texts)


def test_a_fork_of_what_has_lost_an_earlier_one(shell, look, texts):
    """What is lost of its past does not keep it from beginning."""
    shell.enqueue("look", {"steps": 3}, "--work-id", "w-1")
    work(shell, look)
    edited = shell.run(
        *("replay", "w-1", "--from-version", "3", "--work-id", "w-2"),
        *("-e", "images=[]"),
    )
    assert 0 == edited.returncode, edited.stderr
    for one in blobs(texts):
        one.unlink()
    again = shell.run("replay", "w-2", "--from-version", "4", "--work-id", "w-3")
    assert 0 == again.returncode, again.stderr
    work(shell, look)
    assert [image(n) for n in range(3)] == images_of(shell, "w-3")


def test_the_folder_is_not_there(shell, look, texts):
    """It is nobody's fault, and said as what it is."""
    run(shell, look)
    texts.rename(texts.with_name("elsewhere"))
    shown = shell.run("status", "w-1")
    assert 1 == shown.returncode
    assert f"there is no folder {texts}: is its volume mounted" in shown.stderr
    found = json.loads(shown.stdout)
    assert ("done", 6) == (found["meta"]["state"], found["meta"]["version"])
    assert "is its volume mounted" in found["problem"]
    assert 0 == shell.run("watch", "w-1").returncode
    shell.ok("why", "w-1")
    assert "is its volume mounted" in shell.ok("history", "w-1")
    texts.with_name("elsewhere").rename(texts)
    assert [image(n) for n in range(5)] == images_of(shell, "w-1")
