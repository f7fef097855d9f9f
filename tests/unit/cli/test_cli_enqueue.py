"""``roost enqueue`` over a queue in memory: one work item, or a batch."""

from __future__ import annotations

import json
import re

import pytest

from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue in memory with a command line."""
    return Bench()


# -- enqueue -----------------------------------------------------------------------------------


def test_enqueue_prints_the_id_alone(bench):
    """ID=$(roost enqueue ...) works: a random id and nothing else."""
    out = bench.ok("enqueue", "--engine", "echo")

    assert re.fullmatch(r"w-[0-9a-f]{16}\n", out)


def test_enqueue_takes_every_option(bench):
    """What is typed arrives in the work item."""
    words = [
        "enqueue",
        "--engine",
        "echo",
        "--payload",
        '{"n":1}',
        "--work-id",
        "w1",
        "--idempotency-key",
        "k",
        "--priority",
        "7",
        "--resource",
        "domain:a",
        "--resource",
        "domain:b",
        "--delay-seconds",
        "5m",
        "--deadline",
        "2h",
        "--title",
        "T",
        "--max-attempts",
        "9",
        "--max-recoveries",
        "2",
        "--max-steps",
        "77",
        "--step-timeout",
        "30",
    ]
    assert "w1\n" == bench.ok(*words)

    found = bench.json("status", "w1")
    item = found["item"]
    assert {"n": 1} == item["payload"]
    assert ("k", 7, "T") == (item["idempotency_key"], item["priority"], item["title"])
    assert ["domain:a", "domain:b"] == item["resources"]
    assert (9, 2, 30.0) == (
        item["retry"]["max_attempts"],
        item["max_recoveries"],
        item["step_timeout_seconds"],
    )
    assert "sleeping" == found["meta"]["state"]
    assert "2023-11-14T22:18:20.000Z" == found["meta"]["due_at"]
    assert "2023-11-15T00:13:20.000Z" == found["meta"]["deadline_at"] == item["deadline_at"]


def test_payload_comes_from_a_file_or_standard_input(bench, tmp_path):
    """@FILE and - name where the JSON is."""
    (tmp_path / "p.json").write_text('{"from": "file"}')
    one = bench.ok("enqueue", "--engine", "echo", "--payload", f"@{tmp_path}/p.json").strip()
    two = bench.ok("enqueue", "--engine", "echo", "--payload", "-", stdin='["stdin"]').strip()

    assert {"from": "file"} == bench.json("status", one)["item"]["payload"]
    assert ["stdin"] == bench.json("status", two)["item"]["payload"]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--engine", "ecko"], 2, "engine 'ecko'; did you mean echo?"),
        (["--engine", "echo", "--payload", "{"], 2, "the payload is not JSON"),
        (["--engine", "echo", "--payload", "NaN"], 2, "NaN is not allowed"),
        (["--engine", "echo", "--payload", "@missing.json"], 2, "cannot read missing.json"),
        (["--engine", "echo", "--payload", "-"], 2, "the payload has more than 1048576 bytes"),
        (["--engine", "echo", "--work-id", "../x"], 2, "not a valid work id: 1 to 128 letters"),
        (["--engine", "echo", "--deadline", "tomorrow"], 2, "neither like"),
        (["--engine", "echo", "--deadline", "2030-01-01T00:00:00"], 2, "no time zone"),
        (["--engine", "echo", "--priority", "1001"], 2, "1001 is not in the range"),
        (["--engine", "echo", "--delay-seconds", "inf"], 2, "must be finite"),
        (["--engine", "echo", "--title", "a\x1bb"], 2, "printable"),
        ([], 2, "Missing option '--engine'"),
        (["--batch", "x", "--title", "t"], 2, "--title does not go with --batch"),
    ],
)
def test_enqueue_refuses_in_one_line(bench, words, code, text):
    """A mistake exits with 2, prints nothing on stdout and one sentence on stderr."""
    result = bench.invoke("enqueue", *words, stdin="1" * (1 << 20) + "1")

    assert (code, "") == (result.exit_code, result.stdout)
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_any_engine_is_for_engines_of_the_future(bench):
    """--any-engine accepts what nobody offers yet."""
    assert "w1\n" == bench.ok("enqueue", "--engine", "later", "--any-engine", "--work-id", "w1")


def test_a_file_without_its_mark_is_told(bench, tmp_path):
    """A payload that is no JSON and names a file was meant to be read from there."""
    (tmp_path / "p.json").write_text("{}")
    wrong = bench.invoke("enqueue", "--engine", "echo", "--payload", f"{tmp_path}/p.json")
    assert 2 == wrong.exit_code
    assert wrong.stderr.endswith(f"; did you mean @{tmp_path}/p.json?\n")
    (tmp_path / "bad.json").write_text("p.json")
    other = bench.invoke("enqueue", "--engine", "echo", "--payload", f"@{tmp_path}/bad.json")
    assert (2, False) == (other.exit_code, "did you mean" in other.stderr)


def test_work_id_is_not_taken_twice(bench):
    """An id that is taken exits with 1 and leaves the first work item as it is."""
    bench.enqueue(work_id="w1", payload=1)
    result = bench.invoke("enqueue", "--engine", "echo", "--work-id", "w1", "--payload", "2")

    assert (1, "") == (result.exit_code, result.stdout)
    assert "roost: work id w1 is taken by another work item, which was left as it is\n" == (
        result.stderr
    )
    assert 1 == bench.json("status", "w1")["item"]["payload"]


def test_idempotency_key_gives_the_same_id_or_an_error(bench):
    """The same key and payload is the same work; another payload is an error that says so."""
    words = ("enqueue", "--engine", "echo", "--idempotency-key", "k", "--payload")
    first = bench.ok(*words, "1")
    again = bench.ok(*words, "1")
    other = bench.invoke(*words, "2")

    assert first == again
    assert (1, "") == (other.exit_code, other.stdout)
    assert "idempotency key 'k' was used before" in other.stderr


def test_enqueue_waits_if_asked(bench):
    """--wait exits with 1 for work that does not end as done, and says why."""
    bench.enqueue(work_id="w1", idempotency_key="k")
    bench.fail("no such page", error_type="LookupError")
    words = ("enqueue", "--engine", "echo", "--idempotency-key", "k", "--wait")
    result = bench.invoke(*words)

    assert (1, "w1\n") == (result.exit_code, result.stdout)
    assert "roost: w1 is failed: LookupError: no such page\n" == result.stderr


# -- batches -----------------------------------------------------------------------------------


def test_batch_prints_ids_in_order(bench):
    """Lines become work items in their order; --engine is for lines without one."""
    lines = [
        {"work_id": "b"},
        {"work_id": "a", "engine": "echo", "payload": {"x": [1]}, "retry": {"max_attempts": 2}},
        {"work_id": "c", "deadline_seconds": 60, "resources": ["r"]},
    ]
    text = "\n\n".join(map(json.dumps, lines))

    assert "b\na\nc\n" == bench.ok("enqueue", "--engine", "echo", "--batch", "-", stdin=text)
    assert 2 == bench.json("status", "a")["item"]["retry"]["max_attempts"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"work_id": "ok", "nope": 1}', "line 2: unknown key nope; known are engine, payload"),
        ('{"work_id": "ok"', "line 2: the line is not JSON"),
        ("[1]", "line 2: expected a JSON object"),
        ('{"engine": 5}', "line 2: no engine"),
        ('{"deadline_at": "2030-01-01T00:00:00"}', "line 2: deadline_at: "),
        ('{"retry": {"tries": 1}}', "line 2: unknown key retry.tries"),
        ('{"max_attempts": 2}', 'it goes inside retry: {"retry": {"max_attempts": ...}}'),
        ('{"engine": "ecko"}', "line 2: no installed plugin and no live worker offers"),
        ('{"priority": "high"}', "line 2: priority must be a whole number"),
    ],
)
def test_batch_is_checked_before_anything_is_enqueued(bench, line, text):
    """One bad line, named by its number, and nothing of the batch is stored."""
    stdin = f'{{"work_id": "first"}}\n{line}\n'
    result = bench.invoke("enqueue", "--engine", "echo", "--batch", "-", stdin=stdin)

    assert (2, "") == (result.exit_code, result.stdout)
    assert text in result.stderr
    assert "nothing was enqueued" in result.stderr
    assert [] == bench.json("list", "--json")


def test_batch_goes_on_after_a_refusal(bench):
    """A line that the queue refuses is named, the others are stored, and the exit code is 1."""
    bench.enqueue(work_id="b")
    stdin = '{"work_id": "a"}\n{"work_id": "b"}\n{"work_id": "c"}\n'
    result = bench.invoke("enqueue", "--engine", "echo", "--batch", "-", stdin=stdin)

    assert (1, "a\nc\n") == (result.exit_code, result.stdout)
    assert "roost: line 2: work id b is taken" in result.stderr
