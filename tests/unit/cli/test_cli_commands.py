"""The commands over a queue in memory: what they print where, and how they exit."""

from __future__ import annotations

import asyncio
import json
import re

import attrs
import pytest

from roost_core.cli import output
from roost_core.codec.snapshots import lost_snapshot
from roost_core.errors import BackendUnavailable
from roost_core.models import Snapshot
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue in memory with a command line."""
    return Bench()


# -- looking -----------------------------------------------------------------------------------


def test_status_has_three_parts_and_no_token(bench):
    """meta, item and snapshot, with the lease but without its token; times end with Z."""
    bench.enqueue(work_id="w1", title="Ä", payload={"password": "mine"})
    token = bench.claim().lease.token
    out = bench.ok("status", "w1")
    found = json.loads(out)

    assert ["meta", "item", "snapshot", "forks"] == list(found)
    assert "running" == found["meta"]["state"]
    assert "worker-1" == found["meta"]["lease"]["worker_id"]
    assert found["meta"]["lease"]["expires_at"].endswith("Z")
    assert "token" not in found["meta"]["lease"]
    assert token not in out
    assert "Ä" in out
    assert {"password": "mine"} == found["item"]["payload"]
    assert None is found["snapshot"]


def test_status_is_json_on_a_terminal_if_wanted(bench, monkeypatch):
    """A terminal shows a screen; with --json, or elsewhere, it is the same JSON."""
    bench.enqueue(work_id="w1")
    piped = bench.ok("status", "w1")
    assert "roost events --work ID" in " ".join(bench.ok("status", "--help").split())
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    assert piped == bench.ok("status", "w1", "--json")
    screen = bench.ok("status", "w1")
    assert screen.startswith("w1  queued\n")
    assert "enqueued for echo, queued" in screen
    assert "follow: roost watch w1" in screen


def test_status_prints_the_whole_error(bench):
    """Without the frames of the runtime; where there is no error, a message says so."""
    frames = [
        f'  File "/src/{name}", line 8, in step\n    go()\n'
        for name in ("roost_core/a.py", "my.py")
    ]
    trace = f"Traceback (most recent call last):\n{''.join(frames)}RuntimeError: no"
    bench.enqueue(work_id="w1")
    assert "roost: w1 has no error\n" == bench.invoke("status", "w1", "--traceback").stderr
    bench.fail("no", error_type="RuntimeError", traceback=trace)
    expected = f"Traceback (most recent call last):\n{frames[1]}RuntimeError: no\n"
    assert expected == bench.ok("status", "w1", "--traceback")
    assert 2 == bench.invoke("status", "w1", "--traceback", "--json").exit_code


def test_status_escapes_what_a_terminal_might_obey(bench):
    """C1 controls and bidi marks in data are escaped; the JSON still has the same value."""
    payload = "a\x9b31m\u202eb\x1b[0m\x7f"
    bench.enqueue(work_id="w1", payload=payload)
    out = bench.ok("status", "w1")

    assert payload == json.loads(out)["item"]["payload"]
    assert not set("\x9b\u202e\x1b\x7f") & set(out)


@pytest.mark.parametrize(
    ("work_id", "code", "text"),
    [
        ("w-none", 1, "no work item 'w-none'"),
        ("a/../b", 2, "not a valid work id: 1 to 128 letters"),
    ],
)
@pytest.mark.parametrize("command", ["status", "watch", "workspace-path"])
def test_unknown_and_impossible_ids(bench, command, work_id, code, text):
    """An unknown id exits with 1, an impossible one with 2."""
    result = bench.invoke(command, work_id)

    assert (code, "") == (result.exit_code, result.stdout)
    assert text in result.stderr


def test_corrupt_work_is_told_and_listed(bench):
    """Status says in one line that the bytes do not decode; list shows the row anyway."""
    bench.enqueue(work_id="w1", title="T")
    bench.enqueue(work_id="w2")
    bench.ledger.run(lambda state, now: _corrupt(state.works["w1"]))
    result = bench.invoke("status", "w1")

    assert (1, "") == (result.exit_code, result.stdout)
    assert re.fullmatch(r"roost: w1: the stored work item does not decode: .*\n", result.stderr)
    rows = {row["work_id"]: row for row in bench.json("list", "--json")}
    assert {"w1": False, "w2": True} == {key: row["is_readable"] for key, row in rows.items()}
    assert "(its stored bytes do not decode)" in bench.ok("list")


@pytest.mark.parametrize("raw", [b"{", lost_snapshot(Exception("a text is gone"))])
def test_a_snapshot_that_cannot_be_read(bench, monkeypatch, raw):
    """All the rest is shown, and in place of the data why it is not there; no data is exit 1."""
    bench.enqueue(work_id="w1", title="T")
    bench.steps("w1", Snapshot("", "", step="look", data={"n": 1}))
    assert "problem" not in bench.json("status", "w1")
    bench.ledger.run(lambda state, now: setattr(state.works["w1"], "snapshot", raw))
    result = bench.invoke("status", "w1")
    found = json.loads(result.stdout)
    assert (1, f"roost: {found['problem']}\n") == (result.exit_code, result.stderr)
    assert found["problem"].startswith("w1: ")
    assert (None, "running", 1, "T") == (
        found["snapshot"],
        found["meta"]["state"],
        found["meta"]["version"],
        found["item"]["title"],
    )
    assert found["meta"]["lease"] is not None
    assert 0 == bench.invoke("status", "w1", "--traceback").exit_code
    assert 0 == bench.invoke("why", "w1").exit_code
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    result = bench.invoke("status", "w1")
    assert (1, "") == (result.exit_code, result.stderr)
    lines = " ".join(result.stdout.split())
    assert f"data cannot be read: {found['problem']}" in lines
    assert all(f" {one} " in lines for one in ("lease", "payload", "step"))
    assert "which versions can be read: roost history w1" in lines


def _corrupt(work):
    work.new = attrs.evolve(work.new, item=b'{"schema":1,')


def test_list_is_tab_separated_without_heading(bench):
    """Off a terminal a row is a line of cells; a missing value is a dash."""
    bench.enqueue(work_id="w1", title="a [b]")

    (line,) = bench.ok("list").splitlines()
    assert ["w1", "queued", "echo", "0", "-", "0/5", "-", "2023-11-14T22:13:20Z", "a [b]"] == (
        line.split("\t")
    )


def test_list_filters_and_pages(bench):
    """--state, --engine, --limit and --offset narrow the list."""
    for number in range(4):
        bench.enqueue(work_id=f"w{number}")
    bench.claim()

    assert 1 == len(bench.ok("list", "--state", "running").splitlines())
    assert 3 == len(bench.json("list", "--state", "queued", "--json"))
    assert "" == bench.ok("list", "--engine", "other")
    assert 2 == len(bench.ok("list", "--limit", "2", "--offset", "1").splitlines())
    assert 2 == bench.invoke("list", "--state", "lost").exit_code
    assert 2 == bench.invoke("list", "--limit", "-1").exit_code


def test_an_empty_list_names_the_queue_on_a_terminal(bench, monkeypatch):
    """The work may be in another one; where no person reads, nothing is said."""
    assert ("", "") == (bench.invoke("list").stdout, bench.invoke("list").stderr)
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    said = bench.invoke("list", "--queue", "reports").stderr
    assert "roost: no such work in the queue reports; --queue names another\n" == said
    bench.enqueue(work_id="w1")
    assert "" == bench.invoke("list").stderr


def test_events_hide_secrets_and_controls(bench):
    """Events show no password, no field named like a secret, and no control characters."""
    bench.enqueue(work_id="w1")
    bench.fail("redis://u:hunter2@h/0 failed \x1b[31m\x07badly")
    text = bench.ok("events", "--work", "w1")
    last = [json.loads(line) for line in bench.ok("events", "--json").splitlines()][-1]

    assert ["enqueued", "claimed", "dead_lettered"] == [
        line.split("\t")[1] for line in text.splitlines()
    ]
    assert "hunter2" not in text + json.dumps(last)
    assert "redis://u:***@h/0" in text
    assert "\x1b" not in text
    assert "dead_lettered" == last["kind"]
    assert 1 == len(bench.ok("events", "--limit", "1").splitlines())


def test_an_error_in_events_is_one_readable_text(bench):
    """People see type and message; the traceback is in the JSON."""
    bench.enqueue(work_id="w1")
    bench.fail("'from'", error_type="KeyError", traceback="Traceback (most recent call last) ...")
    text = bench.ok("events", "--work", "w1").splitlines()[-1]
    last = json.loads(bench.ok("events", "--json").splitlines()[-1])

    assert "error=\"KeyError: 'from'\"" == text.split("\t")[-1]
    assert "Traceback" in last["data"]["error"]["traceback"]


def test_why_work_comes_later_is_shown(bench):
    """The reason that an engine gave with RetryLater is in events and watch."""
    bench.enqueue(work_id="w1")
    claim = bench.claim()
    asyncio.run(bench.ledger.interrupt(claim.lease, "i1", "the quota is used up", 0))
    text = bench.ok("events", "--work", "w1").splitlines()[-1]

    assert "interrupted" == text.split("\t")[1]
    assert 'reason="the quota is used up"' in text
    bench.finish("w1")
    assert 'reason="the quota is used up"' in bench.ok("watch", "w1")


def test_watch_ends_with_the_work(bench):
    """For work that has ended it prints what happened and exits with 0 for done, 1 for failed."""
    bench.enqueue(work_id="w1")
    bench.finish("w1")
    bench.enqueue(work_id="w2")
    bench.fail("boom")

    kinds = [line.split("\t")[1] for line in bench.ok("watch", "w1").splitlines()]
    assert ["enqueued", "claimed", "committed"] == kinds
    result = bench.invoke("watch", "w2")
    assert (1, "roost: w2 is failed: permanent: boom\n") == (result.exit_code, result.stderr)


# -- artifacts ---------------------------------------------------------------------------------


def test_artifact_show_prints_the_exact_bytes(bench, tmp_path):
    """The bytes come out as they are, to stdout or to a new file."""
    data = b'{"a": 1}\n\xff\x00'
    artifact_id = bench.provider.store.put(data, work_id="w1", ext="json").artifact_id

    assert data == bench.invoke("artifact-show", artifact_id).stdout_bytes
    target = tmp_path / "x"
    assert "" == bench.ok("artifact-show", artifact_id, "--ext", "json", "--output", str(target))
    assert data == target.read_bytes()


def test_artifact_show_replaces_no_file_unasked(bench, tmp_path):
    """--output refuses a file that is there; --force replaces it."""
    artifact_id = bench.provider.store.put(b"new", work_id="w1").artifact_id
    target = tmp_path / "x"
    target.write_bytes(b"old")
    words = ("artifact-show", artifact_id, "--output", str(target))
    result = bench.invoke(*words)

    assert (2, b"old") == (result.exit_code, target.read_bytes())
    assert "--force replaces it" in result.stderr
    bench.ok(*words, "--force")
    assert b"new" == target.read_bytes()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["0" * 64], 1, "no artifact"),
        (["../etc/passwd"], 2, "not a valid artifact id: 64 hexadecimal digits"),
        (["0" * 64, "--ext", "../x"], 2, "not a valid extension: 1 to 8"),
    ],
)
def test_artifact_show_checks_its_words(bench, words, code, text):
    """Ids and extensions are checked before any path is made of them."""
    result = bench.invoke("artifact-show", *words)

    assert (code, "") == (result.exit_code, result.stdout)
    assert text in result.stderr or "there is no artifact" in result.stderr


def test_artifact_show_insists_on_the_extension(bench):
    """--ext json for what was stored as something else is an error."""
    artifact_id = bench.provider.store.put(b"x", work_id="w1", ext="txt").artifact_id
    result = bench.invoke("artifact-show", artifact_id, "--ext", "json")

    assert 1 == result.exit_code
    assert "is stored as txt, not as json" in result.stderr


@pytest.mark.parametrize(
    ("data", "code"), [(b"plain\n", 0), ("Ä\t".encode(), 0), (b"\x1b[2J", 2), (b"\xff", 2)]
)
def test_artifact_show_protects_a_terminal(bench, monkeypatch, data, code):
    """What a terminal might obey is not printed to one."""
    artifact_id = bench.provider.store.put(data, work_id="w1").artifact_id
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    result = bench.invoke("artifact-show", artifact_id)

    assert code == result.exit_code
    assert (data if code == 0 else b"") == result.stdout_bytes


# -- doctor, engines, plugins ------------------------------------------------------------------


def test_engines_and_plugins_need_no_server(bench):
    """They list what is loaded, as lines and as JSON."""
    assert ["echo", "echo"] == bench.ok("engines").split("\t")[:2]
    assert ["echo"] == [row["engine"] for row in bench.json("engines", "--json")]
    lines = [line.split("\t") for line in bench.ok("plugins").splitlines()]
    assert [["memory", "ok"], ["echo", "ok"]] == [line[:2] for line in lines]
    assert "artifact_store backend" == lines[0][4]


def test_doctor_exits_with_1_for_a_problem(bench):
    """A backend in memory keeps nothing: that is a problem, and it is named."""
    result = bench.invoke("doctor", "--json")
    findings = json.loads(result.stdout)

    assert 1 == result.exit_code
    assert "persistence" in [one["subject"] for one in findings if one["level"] == "problem"]
    assert "plugin echo" in [one["subject"] for one in findings if one["level"] == "ok"]


def test_doctor_names_work_that_nobody_takes(bench):
    """Queued work of an engine without a live worker is a warning."""
    bench.enqueue(work_id="w1")

    assert "no live worker offers it" in bench.invoke("doctor").stdout


def test_doctor_goes_on_without_a_server(bench, monkeypatch):
    """An unreachable server is one finding among the others, not the end."""

    async def away():
        raise BackendUnavailable("no server at redis://h: start one")

    monkeypatch.setattr(bench.server, "open", away)
    result = bench.invoke("doctor")

    assert 1 == result.exit_code
    assert "problem\tserver\tno server at redis://h: start one" in result.stdout
    assert "artifacts" in result.stdout


@pytest.mark.parametrize("words", [["status", "w1"], ["list"], ["enqueue", "--engine", "echo"]])
def test_unreachable_server_is_one_line(bench, monkeypatch, words):
    """A server that does not answer exits with 1 and one line."""

    async def away():
        raise BackendUnavailable("no server at redis://h: start one")

    monkeypatch.setattr(bench.server, "open", away)
    result = bench.invoke(*words)

    assert (1, "", "roost: no server at redis://h: start one\n") == (
        result.exit_code,
        result.stdout,
        result.stderr,
    )


def test_follow_goes_on_from_what_was_shown(bench):
    """``events --follow`` prints what is there and then what happens, with nothing twice."""
    bench.enqueue(work_id="w1")
    seen = []

    async def main():
        async with bench.roost() as roost:
            first = await roost.work("w1").events()
            async for event in roost.work("w1").follow(after=first[-1].event_id):
                seen.append(event.kind)
                return

    async def both():
        task = asyncio.create_task(main())
        await asyncio.sleep(0)
        await asyncio.to_thread(bench.claim)
        await task

    asyncio.run(both())
    assert ["claimed"] == seen
