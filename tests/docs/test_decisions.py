"""The decision records: numbered, listed, linked, and all of one shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, rows, sections

FOLDER = DOCS / "decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
HEADINGS = ["Context", "Decision", "Consequences", "Alternatives"]
STATUS = r"proposed|accepted|superseded by \[\d+\]\(\d{4}-[a-z0-9-]+\.md\)"
DATE = r"\d{4}-\d\d-\d\d( \([^)]+\))?"


def titled(path: Path) -> tuple[int, str]:
    """Return a record's number and title."""
    found = re.match(r"# (\d+)\. (.+)\n", path.read_text(encoding="utf-8"))
    assert found is not None, f"{path.name} does not begin with its number and title"
    return int(found[1]), found[2]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_records_have_the_same_parts(path):
    """Status, date and the four headings, in the template's order and none of them empty."""
    text = path.read_text(encoding="utf-8")
    _, *headings = sections(text)
    assert HEADINGS == headings
    assert [] == [name for name in HEADINGS if not sections(text)[name]]
    assert re.search(rf"^- Status: ({STATUS})$", text, re.MULTILINE)
    assert re.search(rf"^- Date: {DATE}(, {DATE})*$", text, re.MULTILINE)


def test_records_are_short():
    """A record is read in a few minutes."""
    lengths = {path.stem: len(path.read_text(encoding="utf-8").splitlines()) for path in RECORDS}
    assert {} == {name: length for name, length in lengths.items() if length > 50}


def test_template_has_the_parts():
    """A copy of the template has every heading."""
    _, *headings = sections((FOLDER / "template.md").read_text(encoding="utf-8"))
    assert HEADINGS == headings


def test_records_are_numbered():
    """The numbers have no gap, and are in the names of the files."""
    assert list(range(1, len(RECORDS) + 1)) == [titled(path)[0] for path in RECORDS]
    assert [titled(path)[0] for path in RECORDS] == [int(path.stem[:4]) for path in RECORDS]


def test_index_lists_each_record():
    """The table has each number, title and status; the tree of contents has each page."""
    text = (FOLDER / "index.md").read_text(encoding="utf-8")
    expected = []
    for path in RECORDS:
        number, title = titled(path)
        status = re.search(r"^- Status: (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert status is not None
        expected.append([str(number), f"[{title}]({path.name})", status[1]])
    assert expected == [row for row in rows(text) if row[0].isdigit()]
    tree = text.partition(":hidden:\n")[2].partition("\n```")[0].split()
    assert [path.stem for path in RECORDS] == tree


def test_design_links_each_record_that_holds():
    """The page about how it works today links to the reasons."""
    text = (DOCS / "design.md").read_text(encoding="utf-8")
    accepted = [path for path in RECORDS if "- Status: accepted" in path.read_text("utf-8")]
    assert [] == [path.name for path in accepted if f"(decisions/{path.name})" not in text]
