"""What reaches people: cleaned, redacted, and in the shape that the reader expects."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.cli import output
from roost_core.cli.arguments import iso_time, relative_seconds
from roost_core.shown.redaction import clean, redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain Ä 漢字 👩‍💻", "plain Ä 漢字 👩‍💻"),
        ("a\nb\tc\rd", "a b c d"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("\x9b31mred", "31mred"),
        ("bell\x07 back\x08 null\x00", "bell back null"),
        ("\u202ereversed\u2066", "reversed"),
        ("surrogate \ud800", "surrogate "),
        ("redis://user:pw@h:1/0?x=1", "redis://user:***@h:1/0?x=***"),
        ("redis://:p@ss@h", "redis://:***@h"),
        ("see https://h/?api_token=abc&x=1 now", "see https://h/?api_token=***&x=1 now"),
        ("x://[broken:pw@h", "x://***@h"),
    ],
)
def test_clean(text, expected):
    """Terminal commands, controls and passwords are removed; what people write stays."""
    assert expected == clean(text)


@given(st.text())
def test_clean_leaves_nothing_that_a_terminal_obeys(text):
    """Whatever comes in, no control character and no line end comes out."""
    assert not [c for c in clean(text) if ord(c) < 32 or 0x7F <= ord(c) < 0xA0]


def test_redacted_hides_fields_by_name():
    """Values of fields named like secrets are hidden at any depth; counts of tokens are not."""
    value = {
        "password": "a",
        "nested": [{"API-Key": "b", "Authorization": {"Bearer": "c"}, "client_secret": 5}],
        "tokens_used": 500,
        "access_token": "d",
        "has_password": True,
        "secret": None,
        "url": "https://u:p@h/",
    }
    expected = {
        "password": "***",
        "nested": [{"API-Key": "***", "Authorization": "***", "client_secret": "***"}],
        "tokens_used": 500,
        "access_token": "***",
        "has_password": True,
        "secret": None,
        "url": "https://u:***@h/",
    }
    assert expected == redacted(value)


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_json_keeps_its_value(value):
    """Escaping for the terminal changes the spelling of JSON and never its value."""
    printed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output.click, "echo", printed.append)
        output.json_line(value)

    assert value == json.loads(printed[0])
    assert printed[0].isprintable() or not any(
        ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in printed[0]
    )


def test_tables_off_a_terminal_are_tabs(capsys):
    """One row, one line; a tab inside a cell cannot make another column."""
    output.table(["a", "b", "c"], [["x\ty", None, ""], [1, "two", 3.5]])

    assert "x y\t-\t-\n1\ttwo\t3.5\n" == capsys.readouterr().out


def test_a_table_on_a_narrow_terminal_keeps_what_is_copied(capsys, monkeypatch):
    """In 80 columns an id stays on one line, and columns that say nothing are left out."""
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    time = datetime(2026, 11, 26, 0, 21, 27, tzinfo=UTC)
    work_id = "w-7138b5caa9465796"
    headings = ["work id", "state", "engine", "version", "step", "attempts", "due", "updated"]
    row = [work_id, "retry_wait", "watchlist", 3, "check 1 of 2", "0/5", None, time]
    output.table([*headings, "title"], [[*row, None], [*row, ""]])
    out = capsys.readouterr().out

    assert 2 == out.count(work_id)
    assert ("due" in out, "title" in out) == (False, False)
    assert max(map(len, out.splitlines())) <= 80
    assert "2026-11-26" in out
    assert "retry_wait" in out


def test_tables_on_a_terminal_are_drawn(capsys, monkeypatch):
    """With a heading, and brackets in cells are no markup."""
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    output.table(["name", "title"], [["w1", "[red]x[/red]"]])
    out = capsys.readouterr().out

    assert "name" in out
    assert "[red]x[/red]" in out


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("2h", 7200), ("3d", 259200), ("1w", 604800), ("0.5s", 0.5)],
)
def test_relative_times(text, seconds):
    """A number and a unit are seconds."""
    assert seconds == relative_seconds(text)


@pytest.mark.parametrize("text", ["", "s", "-5s", "5", "5 s", "1e3s", "5y", "٣s"])
def test_what_is_no_relative_time(text):
    """Anything else is not guessed at."""
    assert relative_seconds(text) is None


def test_iso_times_need_a_zone():
    """A time without a zone would mean something else on each machine."""
    assert 1767225600 == iso_time("2026-01-01T00:00:00Z").timestamp()
    assert 1767218400 == iso_time("2026-01-01T00:00:00+02:00").timestamp()
    for text in ("2026-01-01T00:00:00", "2026-01-01", "soon"):
        with pytest.raises(ValueError, match=r"zone|neither"):
            iso_time(text)
