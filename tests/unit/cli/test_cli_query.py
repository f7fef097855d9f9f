"""Queries on the command line: how they are typed, what is found, counted and said."""

from __future__ import annotations

import json
import re

import pytest

from roost_core.cli.work.querying import query_from
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue in memory with a dead letter, and work with labels."""
    found = Bench()
    found.enqueue(work_id="w-12a", title="Refund 7", labels={"team": "search"})
    found.fail("item 7 said 429 Too Many at http://u:secret@h/", error_type="HTTPError")
    found.enqueue(work_id="w-12b", labels={"team": "ops"}, priority=5)
    found.enqueue(work_id="w-3")
    return found


def ids(bench, *words):
    """List, and return the ids."""
    return sorted(line.split("\t")[0] for line in bench.ok("list", *words).splitlines())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["w-12a", "w-12b", "w-3"]),
        (("state:failed",), ["w-12a"]),
        (("state:failed,queued", "label:team"), ["w-12a", "w-12b"]),
        (("state:failed,queued label:team",), ["w-12a", "w-12b"]),
        (("-state:failed",), ["w-12b", "w-3"]),
        (("-engine:nothing", "--state", "queued", "-w-3"), ["w-12b"]),
        (("--", "-state:failed", "id:w-12*"), ["w-12b"]),
        (("error:429 too",), ["w-12a"]),
        (("error:429 too", "state:failed"), ["w-12a"]),
        (("error:too state:failed",), ["w-12a"]),
        (('error:"429 too"', "state:failed"), ["w-12a"]),
        (("-title:refund 7",), ["w-12b", "w-3"]),
        (("priority:>2",), ["w-12b"]),
        (("refund",), ["w-12a"]),
        (("--engine", "echo", "label:team=ops"), ["w-12b"]),
        (("--limit", "1", "--offset", "1", "id:w-12*"), ["w-12a"]),
        (("--reverse", "id:w-12*"), ["w-12a", "w-12b"]),
    ],
)
def test_how_a_query_is_typed(bench, words, expected):
    """In one argument or in several, with a minus in front, with the quotes that a shell takes."""
    assert expected == ids(bench, *words)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("list", "stat:failed"), "query, at character 1: unknown stat:; did you mean state?"),
        (("list", "error:too stat:failed"), "unknown stat:; did you mean state?"),
        (("list", "w", "state:x"), "query, at character 9: unknown state 'x'"),
        (("count", "engine:"), "query, at character 8: nothing stands behind engine:"),
        (("list", "--state", "done", "state:failed"), "give --state or state: in the query"),
        (("count", "--by", "engin"), "cannot count by 'engin'; did you mean engine?"),
        (("count", "--by", "label"), "count by label:KEY, as in label:team"),
        (("count", "--by", "priority"), "there are state, engine, error and label:KEY"),
    ],
)
def test_what_is_refused(bench, words, text):
    """One line that says where, and what to write; exit code 2."""
    result = bench.invoke(*words)
    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("roost: ")
    assert text in result.stderr


@pytest.mark.parametrize(
    "word",
    [
        "error:upstream said: no",
        "error:said: no",
        "error:no; bad host: http://h/p",
        "error:host: http://h/p?q:1",
    ],
)
def test_an_error_with_colons_whose_quotes_the_shell_has_taken(bench, word):
    """Colons are usual in errors: alone, and beside other terms, it is one text."""
    bench.enqueue(work_id="w-colons")
    # What is ready first fails: these two are in front of it.
    bench.ok("pause", "w-12b", "w-3")
    bench.fail("upstream said: no; bad host: http://h/p?q:1")
    assert ["w-colons"] == ids(bench, word)
    assert ["w-colons"] == ids(bench, word, "state:failed")


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("list", "-json"),
        ("count", "-by"),
        ("drop", "-yes"),
        ("retry", "-dry-run"),
        ("list", "-home"),
        ("list", "-help"),
    ],
)
def test_an_option_that_lacks_a_dash_is_no_term(bench, command, word):
    """It would be a text that must not be there, which is true of nearly all work."""
    result = bench.invoke(command, "state:failed", word)
    assert (2, "") == (result.exit_code, result.stdout)
    assert f"Is {word} the option -{word}?" in result.stderr
    quoted = f'-"{word[1:]}"'
    assert ["w-12a"] == ids(bench, "state:failed", quoted)


def test_help_is_no_term(bench):
    """An option of one letter stays one."""
    assert "Count the work items" in bench.ok("count", "-h")
    assert 2 == bench.invoke("list", "--limit", "-10").exit_code


def test_labels(bench):
    """They are given one by one, shown in status and list, and may stand in a batch."""
    given = ("--label", "team=search", "--label", "env=prod")
    work_id = bench.ok("enqueue", "--engine", "echo", *given).strip()
    labels = {"team": "search", "env": "prod"}
    status = bench.json("status", work_id)
    assert (labels, labels) == (status["meta"]["labels"], status["item"]["labels"])
    (row,) = bench.json("list", "label:env=prod", "--json")
    assert labels == row["labels"]
    lines = json.dumps({"engine": "echo", "work_id": "b1", "labels": {"team": "x"}})
    bench.ok("enqueue", "--batch", "-", stdin=lines)
    assert ["b1"] == ids(bench, "label:team=x")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("--label", "team"), "'team' is not a label: write KEY=VALUE"),
        (("--label", "1=x"), "'1' is not a valid key of a label: 1 to 63 letters"),
        (("--label", "a=b c"), "'b c' is not a valid value of a label: 1 to 100"),
        (("--label", "a=b", "--label", "a=c"), "a label has one value: a is b, or c"),
        (tuple(f"--label=k{n}=v" for n in range(17)), "at most 16 labels, not 17"),
    ],
)
def test_labels_that_cannot_be(bench, given, text):
    """Each says what is wrong, and nothing is enqueued."""
    result = bench.invoke("enqueue", "--engine", "echo", *given)
    assert (2, "") == (result.exit_code, result.stdout)
    assert text in result.stderr


def test_a_batch_with_labels_that_are_none(bench):
    """They are checked with the line."""
    result = bench.invoke("enqueue", "--batch", "-", stdin='{"engine":"echo","labels":["a"]}')
    assert (2, "") == (result.exit_code, result.stdout)
    assert "line 1: labels must be keys with values" in result.stderr


def test_counts(bench):
    """A number; or a line for each group, the largest first, a dash for those without."""
    assert "3\n" == bench.ok("count")
    assert "2\n" == bench.ok("count", "state:queued")
    assert ["queued\t2", "failed\t1"] == bench.ok("count", "--by", "state").splitlines()
    lines = bench.ok("count", "id:w*", "--by", "label:team").splitlines()
    assert ["ops\t1", "search\t1", "-\t1"] == lines
    found = bench.json("count", "--by", "engine", "--json")
    assert (3, True, [{"name": "echo", "count": 3}]) == (
        found["total"],
        found["is_exact"],
        found["groups"],
    )


def test_errors_that_are_alike(bench):
    """A fingerprint to copy into a query, and one error, with nothing secret in it."""
    line = bench.ok("count", "state:failed", "--by", "error").strip()
    name, count, text = line.split("\t")
    assert ("1", "HTTPError: item 7 said 429 Too Many at http://u:***@h/") == (count, text)
    assert ["w-12a"] == ids(bench, f"error:{name}")
    found = bench.ok("count", "--by", "error", "--json")
    assert "secret" not in found
    assert {"error", "name", "count"} == set(json.loads(found)["groups"][1])


def test_what_was_not_all_looked_at(bench):
    """Standard error says how much was, and how to look at more."""
    result = bench.invoke("count", "priority:>2", "--look", "1")
    assert (0, "roost: at least: looked at 1; --look N looks at more\n") == (
        result.exit_code,
        result.stderr,
    )
    result = bench.invoke("list", "priority:>9", "--look", "2")
    assert (0, "", "roost: at least 0: looked at 2; --look N looks at more\n") == (
        result.exit_code,
        result.stdout,
        result.stderr,
    )


def test_a_query_may_have_been_typed_for_a_shell():
    """Only a text is quoted, and only if no other key stands in it."""
    assert 'error:"too many"' == str(query_from(["error:too many"]))
    assert "error:too state:done" == str(query_from(["error:too state:done"]))
    assert "state:done many" == str(query_from(["state:done many"]))
    assert 'title:"a b" error:"c d"' == str(query_from(["title:a b", "error:c d"]))


@pytest.mark.parametrize("command", ["list", "count", "retry", "enqueue", "events", "watch"])
def test_help_tells_bounds_in_words(bench, command):
    """Nobody reads 1<=x<=100000000; nor is it in what is said of a wrong number."""
    text = " ".join(bench.ok(command, "--help").split())
    assert "<=" not in text
    assert re.search(r"\[.*\d to [\d,]+\]", text)


def test_a_number_beyond_its_bounds(bench):
    """The bounds are those that help tells."""
    result = bench.invoke("list", "--limit", "0")
    assert (2, "") == (result.exit_code, result.stdout)
    assert "0 is not in the range 1 to 100,000." in result.stderr
