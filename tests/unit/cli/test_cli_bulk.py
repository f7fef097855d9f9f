"""Verbs over a query, on a queue in memory: what is shown, asked, done and told."""

from __future__ import annotations

import asyncio
import io
import json
import re
import signal
import sys
from datetime import datetime

import attrs
import pytest
from rich.cells import cell_len

from roost_core.backend import OrderAnswer, OrderOutcome
from roost_core.cli.work import bulk, bulk_progress, carrying_out, previews
from roost_core.cli.work.bulk_progress import BulkProgress
from roost_core.client import control
from roost_core.client.select import previewed
from roost_core.errors import BackendUnavailable
from roost_core.models import Verb
from roost_core.query import parse
from tests.unit.cli.cli_harness import Bench

VERBS = ["cancel", "pause", "resume", "retry", "bury", "drop"]


@pytest.fixture
def bench():
    """Give a queue in memory with three dead letters, two of them alike, and two that wait."""
    bench = Bench()
    for work_id, message in (("d1", "said 429"), ("d2", "said 429"), ("d3", "no route")):
        bench.enqueue(work_id=work_id, title=f"Title of {work_id}")
        bench.fail(message)
    for work_id in ("w1", "w2"):
        bench.enqueue(work_id=work_id)
    return bench


async def _preview(bench, query):
    """Return what a cancel would be used on."""
    async with bench.roost() as roost:
        return (await previewed(roost, parse(query), Verb.CANCEL, None)).done()


@pytest.fixture
def asked(monkeypatch):
    """Have somebody sit at a terminal, who answers from standard input."""
    monkeypatch.setattr(carrying_out, "can_be_asked", lambda: True)
    monkeypatch.setattr(bulk, "can_be_asked", lambda: True)


class Terminal(io.StringIO):
    """Standard error that a person reads."""

    def isatty(self):
        """Say so."""
        return True


def states(bench):
    """Return the states by id."""
    return {row["work_id"]: row["state"] for row in bench.json("list", "--json")}


# -- which -------------------------------------------------------------------------------------


def test_every_dead_letter_with_this_error_is_retried(bench):
    """And no other; the last line says how many, and each keeps who did it, and why."""
    text = "retried 2 of 2\n"
    who = ("--reason", "it is back", "--as", "alice")
    assert text == bench.ok("retry", "state:failed", 'error:"429"', "--yes", *who)
    found = states(bench)
    assert ("queued", "queued", "failed") == (found["d1"], found["d2"], found["d3"])
    actor = bench.json("status", "d1")["meta"]["act"]["actor"]
    assert {"who": "alice", "tool": "roost retry", "reason": "it is back"} == actor
    assert "nothing to retry\n" == bench.ok("retry", "state:failed", 'error:"429"', "--yes")


@pytest.mark.parametrize(
    ("words", "cancelled"),
    [
        (["state:queued"], {"w1", "w2"}),
        (["--query", "w1"], {"w1"}),
        (["engine:echo", "w2"], {"w2"}),
        (["engine:echo", "-w2", "-state:failed"], {"w1"}),
        (["w1", "w2", "state:queued"], set()),
        (["older:0s"], {"w1", "w2"}),
    ],
)
def test_what_is_a_query(bench, words, cancelled):
    """An argument with a colon makes one of all of them, and --query is one."""
    assert 0 == bench.invoke("cancel", *words, "--yes").exit_code
    found = states(bench)
    assert cancelled == {work_id for work_id, state in found.items() if state == "cancelled"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["w1", "--query", "state:queued"], "--query is the whole query"),
        (["--query", ""], "The query is empty. To mean all work, say so: older:0s."),
        (["w1", "--dry-run"], "--dry-run goes with a query"),
        (["w1", "--limit", "3"], "--limit goes with a query"),
        (["w1", "too many"], "or is given with --query"),
        (["stat:queued"], "state"),
        (["--dry-run"], "--dry-run goes with a query"),
        (["-yess"], "is given with --query"),
        ([], "Missing argument"),
    ],
)
def test_what_is_none(bench, words, said):
    """It is refused before anything is done."""
    result = bench.invoke("cancel", *words, "--yes")
    assert 2 == result.exit_code
    assert said in result.stderr
    assert "queued" == states(bench)["w1"]


@pytest.mark.parametrize("words", [["state:queued"], ["--query", "w1"]])
def test_an_engine_or_a_query(bench, words):
    """Not both: an engine is held as a whole."""
    result = bench.invoke("pause", "--engine", "echo", *words)
    assert 2 == result.exit_code
    assert "and no query" in result.stderr


# -- shown and asked ---------------------------------------------------------------------------


def test_a_dry_run_shows_and_does_nothing(bench):
    """A count, the groups by state and error, and the first ten; what is left out is told."""
    result = bench.invoke("retry", "older:0s", "--dry-run")
    lines = result.stdout.splitlines()
    assert (0, "would retry 3 dead letters") == (result.exit_code, lines[0])
    groups = [line.split("\t") for line in lines[1:3]]
    assert [
        ["failed", "2", "permanent: said 429"],
        ["failed", "1", "permanent: no route"],
    ] == [[*one[:2], one[3]] for one in groups]
    assert all(one[2].startswith("#") for one in groups)
    assert "all of them:" == lines[3]
    assert ["d1", "failed", "echo", "Title of d1"] in [line.split("\t") for line in lines[4:]]
    assert 3 == len(lines[4:])
    assert "roost: left out: 2 queued: nothing to retry\n" == result.stderr
    assert {"failed", "queued"} == set(states(bench).values())
    assert "nothing to drop\n" == bench.ok("drop", "id:none", "--dry-run")


def test_a_dry_run_in_json(bench):
    """An object with the same."""
    result = bench.invoke("cancel", "older:0s", "--dry-run", "--json", "--limit", "1")
    found = json.loads(result.stdout)
    assert ("cancel", "older:0s", 1, False) == tuple(
        found[name] for name in ("verb", "query", "total", "is_all")
    )
    assert [{"state": "queued", "fingerprint": None, "count": 1, "error": None}] == found["groups"]
    assert 1 == len(found["first"])
    assert "there are more than the 1 of --limit" in result.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_can_be_asked(bench, verb):
    """Without a terminal it needs --yes, whatever is found."""
    for query in ("older:0s", "id:none"):
        result = bench.invoke(verb, query)
        assert (2, "") == (result.exit_code, result.stdout)
        assert "add --yes" in result.stderr
    assert {"failed", "queued"} == set(states(bench).values())


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_the_question(bench, asked, answer, code):
    """It says what and how many, below what it is about; only a yes is one."""
    result = bench.invoke("retry", 'error:"429"', "--over", "10m", stdin=answer)
    assert code == result.exit_code
    assert "retry 2 dead letters, spread over 10 m? [y/N]" in result.stderr
    assert "permanent: said 429" in result.stderr
    assert ("nothing was done" in result.stderr) == bool(code)
    assert bool(code) == (states(bench)["d1"] == "failed")


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (["cancel", "id:w*"], "cancel 2 queued work items?"),
        (["cancel", "id:w1"], "cancel 1 queued work item?"),
        (["drop", "error:*"], "drop 3 dead letters for good, with all artifacts?"),
    ],
)
def test_other_questions(bench, asked, words, question):
    """They name the state if all are in one."""
    assert question in bench.invoke(*words, stdin="n\n").stderr


def test_nobody_is_asked_about_nothing(bench, asked):
    """What matches nothing, or nothing that fits, is fine; so is a queue that is not there."""
    assert "nothing to resume\n" == bench.invoke("resume", "id:w*").stdout
    result = Bench().invoke("cancel", "state:queued", "--yes")
    assert (0, "nothing to cancel\n") == (result.exit_code, result.stdout)


def test_an_incomplete_index_is_told_first(bench, asked, monkeypatch):
    """Before the question."""
    find = bench.ledger.find

    async def incomplete(*args, **fields):
        return attrs.evolve(await find(*args, **fields), is_indexed=False)

    monkeypatch.setattr(bench.ledger, "find", incomplete)
    told = bench.invoke("cancel", "id:w*", stdin="n\n").stderr
    assert -1 < told.index("index incomplete") < told.index("[y/N]")


# -- done --------------------------------------------------------------------------------------


def test_each_verb(bench):
    """What it fits is taken, the rest is left out, and that is no failure."""
    for verb, said in (
        ("pause", "paused 2 of 2"),
        ("resume", "resumed 2 of 2"),
        ("cancel", "cancelled 2 of 2"),
        ("retry", "retried 5 of 5"),
        ("bury", "buried 5 of 5"),
        ("drop", "dropped 5 of 5"),
    ):
        result = bench.invoke(verb, "older:0s", "--yes")
        assert (0, f"{said}\n") == (result.exit_code, result.stdout)
    assert {} == states(bench)


def test_what_runs_is_requested(bench):
    """It is not counted as done."""
    bench.claim()
    assert "cancelled 1 of 2, 1 cancelling\n" == bench.ok("cancel", "id:w*", "--yes")
    assert "nothing to cancel\n" == bench.invoke("cancel", "id:w*", "--yes").stdout


def test_what_has_changed_is_skipped(bench, asked, monkeypatch):
    """It is counted, and no failure: somebody else was quicker than the answer."""

    def meanwhile(*_, **__):
        bench.ok("pause", "w1")
        return True

    monkeypatch.setattr(bulk, "confirmed", meanwhile)
    result = bench.invoke("cancel", "id:w*")
    text = "cancelled 1 of 2, 1 left alone, changed meanwhile\n"
    assert (0, text) == (result.exit_code, result.stdout)
    assert "paused" == states(bench)["w1"]


def test_at_most_ten_refusals_are_named(bench):
    """The totals have all of them, and the exit code is 1."""
    for at in range(12):
        bench.enqueue(work_id=f"late-{at:02}", deadline_seconds=10)
    bench.ok("cancel", "id:late-*", "--yes")
    bench.provider.clock.advance(20_000)
    result = bench.invoke("retry", "id:late-*", "--yes")
    assert (1, "retried 0 of 12, 12 failed\n") == (result.exit_code, result.stdout)
    told = result.stderr.splitlines()
    assert 10 == sum("its deadline has passed" in line for line in told)
    assert "roost: 2 more failed" == told[-1]
    found = json.loads(bench.invoke("retry", "id:late-*", "--yes", "--json").stdout)
    assert (12, 0) == (found["outcomes"]["failed"], found["outcomes"]["done"])
    assert (10, "unfit") == (len(found["failures"]), found["failures"][0]["outcome"])


def test_wide_characters_fit(bench):
    """Lines of a preview have room for characters that take two cells."""
    bench.enqueue(work_id="wide", title="漢字" * 60)
    found = asyncio.run(_preview(bench, "id:w*"))
    for width in (40, 80, 120):
        lines = list(previews.table(found, width))
        assert max(map(cell_len, lines)) <= width
        assert 1 == sum("漢" in line and line.endswith("…") for line in lines)


def test_nobody_sees_a_question(bench, monkeypatch):
    """Where standard error goes elsewhere, nobody would know that an answer is waited for."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    for stderr, can_be in ((io.StringIO(), False), (None, False), (Terminal(), True)):
        monkeypatch.setattr(sys, "stderr", stderr)
        assert can_be == carrying_out.can_be_asked()


def test_a_query_that_is_no_text(bench):
    """Bytes of a command line that are no UTF-8 are escaped in JSON."""
    found = bench.json("cancel", "title:\udcff", "--dry-run", "--json")
    assert 'title:"\udcff"' == found["query"]


def test_what_fails_is_counted(bench, monkeypatch):
    """One that fails makes the exit code 1, and does not stop the rest."""
    order = bench.ledger.order

    async def odd(work_id, asked):
        if work_id == "w1":
            return OrderAnswer(OrderOutcome.CORRUPT)
        return await order(work_id, asked)

    monkeypatch.setattr(bench.ledger, "order", odd)
    result = bench.invoke("pause", "id:w*", "--yes")
    assert 1 == result.exit_code
    assert "paused 1 of 2, 1 failed\n" == result.stdout
    assert "roost: w1: its record does not decode" in result.stderr


@pytest.mark.parametrize(("verb", "left"), [("pause", "changed meanwhile"), ("drop", "so already")])
def test_what_is_gone_has_not_failed(bench, monkeypatch, verb, left):
    """Somebody else removed it between the look and the act: that is a change like any other."""
    order = bench.ledger.order

    async def odd(work_id, asked):
        bench.ledger.run(lambda state, now: state.works.pop("w1", None))
        return await order(work_id, asked)

    if verb == "drop":
        bench.ok("cancel", "id:w*", "--yes")
    monkeypatch.setattr(bench.ledger, "order", odd)
    result = bench.invoke(verb, "id:w*", "--yes")
    assert (0, "") == (result.exit_code, result.stderr)
    assert left in result.stdout


def test_totals_in_json(bench):
    """One object, with the query as it was understood."""
    found = bench.json("cancel", "id:w*", "--yes", "--json")
    assert {"done": 2, "requested": 0, "already": 0, "changed": 0, "failed": 0} == found["outcomes"]
    assert ("id:w*", None, []) == (found["query"], found["stopped"], found["failures"])


def test_retry_over_a_time(bench):
    """Evenly; the first begins at once."""
    bench.ok("retry", "state:failed", "--over", "90", "--yes")
    rows = [row for row in bench.json("list", "--json") if row["work_id"].startswith("d")]
    due = sorted(datetime.fromisoformat(row["due_at"]) for row in rows if row["due_at"])
    assert (2, 30) == (len(due), (due[1] - due[0]).total_seconds())


def test_a_limit(bench):
    """No more than that many; the same again continues."""
    assert "retried 2 of 2" in bench.invoke("retry", "state:failed", "--limit", "2", "--yes").stdout
    assert "retried 1 of 1\n" == bench.ok("retry", "state:failed", "--limit", "2", "--yes")


# -- stopped -----------------------------------------------------------------------------------


def many(bench, monkeypatch, act):
    """Enqueue a hundred, and have ``act`` called once fifty are done, for each of the others."""
    for at in range(100):
        bench.enqueue(work_id=f"m{at:03}")
    order, done = bench.ledger.order, []

    async def failing(work_id, one):
        if len(done) >= 50:
            await act()
        done.append(work_id)
        return await order(work_id, one)

    monkeypatch.setattr(bench.ledger, "order", failing)


def test_a_lost_connection(bench, monkeypatch):
    """It does not try the rest, says how far it came, and the same again continues."""

    async def lose():
        raise BackendUnavailable("the server does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(control, "PATIENCE_SECONDS", 0.0)
        many(bench, patch, lose)
        result = bench.invoke("cancel", "id:m*", "--yes")
    assert (1, "") == (result.exit_code, result.stdout)
    text = "the server does not answer; stopped: 50 of 100 cancelled, up to 32 more may be"
    assert f"roost: {text}; the same command again continues with the rest\n" == result.stderr
    assert "cancelled 50 of 50\n" == bench.invoke("cancel", "id:m*", "--yes").stdout


def test_ctrl_c(bench, monkeypatch):
    """The same; the exit code is that of an interrupted command."""

    async def press():
        signal.raise_signal(signal.SIGINT)
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        many(bench, patch, press)
        result = bench.invoke("cancel", "id:m*", "--yes", "--json")
    assert 130 == result.exit_code
    told = re.fullmatch(
        r"roost: interrupted: (\d+) of 100 cancelled, up to (\d+) more may be; "
        r"the same command again continues with the rest\n",
        result.stderr,
    )
    done, unsure = map(int, told.groups())
    assert done <= 50 <= done + unsure
    found = json.loads(result.stdout)
    assert ("interrupted", done) == (found["stopped"], found["outcomes"]["done"])
    result = bench.invoke("cancel", "id:m*", "--yes")
    assert (0, "cancelled 50 of 50\n") == (result.exit_code, result.stdout)


# -- how far -----------------------------------------------------------------------------------


def test_lines_where_there_is_no_terminal(monkeypatch, capsys):
    """One every five seconds, with rate and time left."""
    times = iter(range(100))
    monkeypatch.setattr(bulk_progress, "on_stderr", lambda: False)
    with BulkProgress("retry", 1000, clock=lambda: next(times)) as shown:
        for _ in range(8):
            shown.advance(50)
    lines = capsys.readouterr().err.splitlines()
    assert ["roost: retry: 250 of 1,000, 42/s, 18 s left"] == lines


def test_a_bar_on_any_terminal(monkeypatch):
    """Also if standard output is one: no lines are printed to it meanwhile."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(bulk_progress.output, "on_terminal", lambda: True)
    for total, said in ((10, "retry ██████████░░░░░░░░░░ 5 of 10"), (None, "retry: 5 so far")):
        with BulkProgress("retry", total, clock=iter(range(99)).__next__) as shown:
            shown.advance(5)
        assert f"\r\x1b[K{said}" in sys.stderr.getvalue()
