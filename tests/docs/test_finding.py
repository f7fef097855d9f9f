"""The page about queries: its words are read and do what it says, its session runs as it stands."""

from __future__ import annotations

import re
import subprocess

import pytest

from roost_core.query import parse
from roost_core.query.terms import KEYS
from tests.docs.pages import blocks, page, rows, sections
from tests.docs.shell import LIMIT, environment, wait_for_the_server

PAGE = page("finding")
TABLE = rows(sections(PAGE)["Words of a query"])[1:]
CODE = re.compile(r"`([^`]+)`")


@pytest.mark.parametrize("word", [CODE.findall(row[0])[0] for row in TABLE if "`" in row[0]])
def test_each_word_is_one(word):
    """What stands in the table is a query, written as Roost writes it."""
    assert word == str(parse(word))


def test_each_key_stands():
    """No key of the language is missing, and none is made up."""
    named = [CODE.findall(row[0])[0] for row in TABLE if "`" in row[0]]
    assert set(KEYS) == {one.partition(":")[0] for one in named if ":" in one}


def test_other_words_are_queries():
    """So are those in the text."""
    text = sections(PAGE)["Words of a query"]
    queries = [one for one in CODE.findall(text) if re.match(r"-?(\w+:|\")\S", one)]
    assert len(queries) > 20
    for one in queries:
        assert parse(one).terms


def session():
    """Return the commands of the session, each with what it prints."""
    (text,) = [one.text for one in blocks(PAGE) if one.language == "console"]
    found = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line.split())
    return found


def test_the_session_runs(folder):
    """Each command prints what the page says."""
    try:
        for command, expected in session():
            done = subprocess.run(
                ["sh", "-ec", command],
                cwd=folder,
                env=environment(folder),
                capture_output=True,
                text=True,
                timeout=LIMIT,
            )
            assert (command, 0, "") == (command, done.returncode, done.stderr)
            printed = [line.split() for line in done.stdout.splitlines()]
            assert (command, expected) == (command, printed)
    finally:
        wait_for_the_server(folder)
