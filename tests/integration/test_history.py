"""The versions of work that a worker has run, through the commands, on a real server."""

from __future__ import annotations

import json
import re

import pytest
import redis

from roost_core.differences import parse_patch, patched
from tests.integration.cli_bench import LIMIT, ending
from tests.integration.test_cli_terminal import on_terminal

#: An engine whose state grows by an entry in each step, from the size that the payload says; its
#: tenth step changes nothing.
ENGINE = """
from roost_core import Snapshot, hookimpl

engine_id = "grow"

@hookimpl
def init_snapshot(item):
    data = {"token": "t-secret-0", "filler": "x" * item.payload["bytes"], "log": []}
    return Snapshot.start(item, data=data)

@hookimpl
def step(snapshot, item):
    n = snapshot.version + 1
    if n == 10:
        return snapshot.evolve(step="nothing")
    data = dict(snapshot.data, token=f"t-secret-{n}", log=[*snapshot.data["log"], f"entry {n}"])
    if n == item.payload["steps"]:
        return snapshot.finish(data=data)
    if n == item.payload.get("nap"):
        return snapshot.evolve(step="nap", data=data, next_step_delay_seconds=3600)
    return snapshot.evolve(step=f"step {n}", data=data)
"""
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def grow(shell):
    """Write the engine; return its option."""
    (shell.folder / "grow.py").write_text(ENGINE)
    return ("--plugin", "./grow.py")


@pytest.fixture(params=[100, 100_000], ids=["small", "large"])
def size(request):
    """Give the size that a snapshot has at least: a large one is stored in changes."""
    return request.param


def run(shell, grow, *options, size=100, steps=12):
    """Run a work item to its end, and return its id."""
    work_id = shell.enqueue("grow", {"bytes": size, "steps": steps}, "--work-id", "w-1")
    done = shell.run("worker", *grow, "--burst", *options)
    assert 0 == done.returncode, done.stderr
    return work_id


def history(shell, work_id, *options):
    """Return what ``roost history`` prints as JSON."""
    return json.loads(shell.ok("history", work_id, "--json", *options))


def test_all_of_it(shell, grow, size):
    """Each version is there as it was, with its label, and how much it has changed."""
    work_id = run(shell, grow, size=size)
    found = history(shell, work_id)
    assert [*range(12, 0, -1)] == [one["version"] for one in found]
    assert ["done", "step 11", "nothing", "step 9"] == [one["step"] for one in found[:4]]
    assert {None} == {one["problem"] for one in found}
    assert 0 == found[2]["changed_bytes"]
    assert all(0 < one["changed_bytes"] < 100 for one in (*found[:2], *found[3:-1]))
    assert all(one["size_bytes"] > size for one in found)
    assert all(one["took_seconds"] >= 0 and one["worker_id"] for one in found)
    for version in (1, 5, 12):
        said = json.loads(shell.ok("status", work_id, "--version", str(version)))
        assert (12, version) == (said["meta"]["version"], said["snapshot"]["version"])
        assert version - 1 - (version > 10) == len(said["snapshot"]["data"]["log"])
    lines = shell.ok("diff", work_id, "4", "5").splitlines()
    assert [
        "w-1 version 4 → 5",
        "~ /token  *** (changed)",
        '+ /log/3  "entry 5"',
        '~ step  "step 4" → "step 5"',
    ] == lines
    assert "the data is the same" in shell.ok("diff", work_id, "9", "10")


def test_a_patch_leads_from_one_to_the_other(shell, grow, size):
    """What is printed is what is stored."""
    work_id = run(shell, grow, size=size)
    patch = json.loads(shell.ok("diff", work_id, "2", "9", "--json", "--reveal"))["patch"]
    old, new = (
        json.loads(shell.ok("status", work_id, "--version", each, "--reveal"))["snapshot"]["data"]
        for each in ("2", "9")
    )
    assert new == patched(old, parse_patch(patch))


def test_a_history_that_is_off(shell, grow):
    """Only the newest is there; commands say so, and the work is done nevertheless."""
    shell.variables["ROOST_HISTORY_VERSIONS"] = "0"
    work_id = run(shell, grow)
    done = shell.run("history", work_id)
    kept = [line.split("\t")[:2] for line in done.stdout.splitlines()]
    assert (0, [["12", "done"]]) == (done.returncode, kept[:1])
    assert "earlier versions are not kept while ROOST_HISTORY_VERSIONS is 0" in done.stderr
    for words in (("diff", work_id, "1"), ("status", work_id, "--version", "1")):
        gone = shell.run(*words)
        assert (1, "") == (gone.returncode, gone.stdout)
        assert "version 1 of w-1 is not kept any more; the oldest is " in gone.stderr


def test_beyond_the_bounds(shell, grow):
    """The oldest go; the commands name the oldest that is kept."""
    shell.variables["ROOST_HISTORY_VERSIONS"] = "5"
    work_id = run(shell, grow, steps=100)
    done = shell.run("history", work_id)
    kept = [int(line.split("\t")[0]) for line in done.stdout.splitlines()]
    assert [*range(100, kept[-1] - 1, -1)] == kept
    assert 5 <= len(kept) < 5 + 34
    assert f"versions before {kept[-1]} are not kept any more" in done.stderr
    gone = shell.run("diff", work_id, "2", "99")
    assert f"version 2 of w-1 is not kept any more; the oldest is {kept[-1]}" in gone.stderr


def test_damage_is_told(shell, grow, redis_server):
    """A version whose record is gone, or spoilt, is named; all others are there."""
    work_id = run(shell, grow)
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        (work,) = client.scan_iter(f"*{shell.variables['ROOST_NAMESPACE']}*:work", count=100_000)
        assert 1 == client.hdel(work, f"{work_id} v8")
        client.hset(work, f"{work_id} v4", "what is this")
    done = shell.run("history", work_id)
    assert 0 == done.returncode
    kept = [int(line.split("\t")[0]) for line in done.stdout.splitlines()]
    assert [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1] == sorted({*kept, 8, 4}, reverse=True)
    gone = shell.run("status", work_id, "--version", "99")
    assert (1, "roost: w-1 has no version 99: the newest is 12\n") == (gone.returncode, gone.stderr)


def test_it_continues_from_what_is_sound(shell, grow, redis_server):
    """A damaged change ends the work; it says so, and a version that can be read puts it back."""
    payload = {"bytes": 100_000, "steps": 12, "nap": 6}
    work_id = shell.enqueue("grow", payload, "--work-id", "w-1")
    worker = ("worker", *grow, "--burst", "--quiet")
    assert 0 == shell.run(*worker).returncode
    assert "nap" == json.loads(shell.ok("status", work_id))["snapshot"]["step"]
    with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
        (work,) = client.scan_iter(f"*{shell.variables['ROOST_NAMESPACE']}*:work", count=100_000)
        assert 1 == client.hdel(work, f"{work_id} v5")
        client.zadd(work.replace(b":work", b":sleeping"), {work_id: 1})
    shell.run(*worker)
    said = shell.ok("why", work_id)
    assert "a change of the snapshot is lost" in said
    assert f"roost history {work_id}" in said
    assert f"roost replay {work_id} --from-version N --in-place" in said
    sound = [one["version"] for one in history(shell, work_id) if one["problem"] is None]
    assert [4, 3, 2, 1] == sound
    done = shell.run("replay", work_id, "--from-version", str(sound[0]), "--in-place", "--yes")
    assert f"{work_id}: put back to version 4, as version 7: it is queued\n" == done.stdout
    # What could be read can still be.
    sound = [one["version"] for one in history(shell, work_id) if one["problem"] is None]
    assert [7, 4, 3, 2, 1] == sound
    assert shell.ok("diff", work_id, "2", "4")
    (lost,) = (one for one in history(shell, work_id) if one["version"] == 5)
    assert (None, None, None) == (lost["step"], lost["worker_id"], lost["committed_at"])
    planned = json.loads(shell.ok("replay", work_id, "--from-version", "3", "--dry-run", "--json"))
    assert [{"first": 5, "last": 5}] == planned["not_remembered"]
    assert [4, 6] == [one["version"] for one in planned["ran_before"]]
    assert 0 == shell.run(*worker).returncode
    found = json.loads(shell.ok("status", work_id))
    assert ("done", 12) == (found["meta"]["state"], found["snapshot"]["version"])
    assert [f"entry {n}" for n in (2, 3, 4, 8, 9, 11, 12)] == found["snapshot"]["data"]["log"]


def test_nothing_is_lost_when_large_work_is_put_back(shell, grow):
    """A version of more bytes than a history may have is kept as what has changed."""
    work_id = run(shell, grow, size=1_300_000, steps=7)
    put_back = ("--from-version", "3", "--in-place", "--yes")
    assert 0 == shell.run("replay", work_id, *put_back).returncode
    found = history(shell, work_id)
    assert [(n, None) for n in (8, 7, 6, 5, 4, 3, 2, 1)] == [
        (one["version"], one["problem"]) for one in found
    ]
    # The mistake can be undone, and a fork has all of it when the origin is gone.
    assert 0 == shell.run("replay", work_id, "--from-version", "7", "--work-id", "w-2").returncode
    shell.ok("cancel", work_id)
    shell.ok("drop", work_id, "--yes")
    assert [8, 7, 6, 5, 4, 3, 2, 1] == [
        one["version"] for one in history(shell, "w-2") if one["problem"] is None
    ]
    log = json.loads(shell.ok("status", "w-2"))["snapshot"]["data"]["log"]
    assert "entry 7" == log[-1]


def test_on_a_terminal(shell, grow, size, monkeypatch):
    """Tables and lines fit eighty columns; what is new is green, and what is gone red."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    work_id = run(shell, grow, size=size)
    for words, expected in (
        (["history", work_id], "what the newest changed: roost diff w-1 11 12"),
        (["diff", work_id, "3", "8"], '+ /log/2  "entry 4"'),
        (["diff", work_id, "8", "3"], '- /log/2  "entry 4"'),
        (["status", work_id, "--version", "3"], "version 3, as it was: the newest is 12"),
    ):
        text, code = on_terminal(shell, *words)
        lines = _ESCAPES.sub("", text).replace("\r", "").splitlines()
        assert 0 == code
        assert expected in lines
        assert max(map(len, lines)) <= 80
        assert "secret" not in text
    forward, back = (on_terminal(shell, "diff", work_id, *each)[0] for each in ("38", "83"))
    assert "\x1b[38;5;28m+ /log/2" in forward
    assert "\x1b[38;5;196m- /log/2" in back


def test_while_it_runs(shell, slow):
    """Versions can be asked for at any time; before the first there are none."""
    work_id = shell.enqueue("slow", {"seconds": 600, "mark": str(shell.folder / "mark")})
    with ending(shell.start("worker", *slow)) as worker:
        while not (shell.folder / "mark").exists():
            assert worker.poll() is None
        done = shell.run("history", work_id)
        worker.kill()
        worker.wait(LIMIT)
    assert 0 == done.returncode
    assert ["1", "init"] == done.stdout.split("\t")[:2]


def test_forks_are_told(shell, grow, size):
    """By both work items, in their status and in their events, and where one was put back."""
    work_id = run(shell, grow, size=size)
    by = ("--as", "bob", "--reason", "wrong turn")
    for words in (("3", "--work-id", "w-2"), ("4", "--work-id", "w-3"), ("5", "--in-place")):
        done = shell.run("replay", work_id, "--yes", *by, "--from-version", *words)
        assert 0 == done.returncode, done.stderr
    origin, fork = (json.loads(shell.ok("status", each)) for each in (work_id, "w-2"))
    assert [("w-3", 4), ("w-2", 3)] == [(one["work_id"], one["version"]) for one in origin["forks"]]
    assert ({"work_id": work_id, "version": 3}, []) == (fork["item"]["forked_from"], fork["forks"])
    earlier = json.loads(shell.ok("status", work_id, "--version", "2"))
    assert origin["forks"] == earlier["forks"]
    told = json.loads(shell.ok("events", "--work", "w-2", "--json").splitlines()[0])
    assert ("enqueued", 4, work_id) == (told["kind"], told["version"], told["data"]["forked_from"])
    screen, code = on_terminal(shell, "status", work_id)
    lines = [line.rstrip() for line in _ESCAPES.sub("", screen).replace("\r", "").splitlines()]
    assert 0 == code
    assert any(line.startswith("forks      w-3 from v4, ") for line in lines)
    said = " ".join(" ".join(lines).split())
    assert "w-2 forked from v3 by bob (roost replay): wrong turn" in said
    assert "put back to v5 by bob (roost replay), was done: wrong turn" in said
    screen, _ = on_terminal(shell, "status", "w-2")
    assert re.search(r"fork of +w-1 v3", _ESCAPES.sub("", screen))
    assert max(map(len, lines)) <= 80
