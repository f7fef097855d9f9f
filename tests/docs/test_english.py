"""The pages are written as a native engineer would write them, as far as a test can tell."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT

#: What was found where nobody would say it so, and what people say.
UNIDIOMATIC = {
    r"\bin case that\b": "if",
    r"\ba wish to\b": "a request to",
    r"\basked wrongly\b": "wrong usage",
    r"\bspeaks? in riddles\b": "is unclear",
    r"\bseldom\b": "rarely",
    r"\b(for|of) who\b": "for whoever, for those who",
    r"(^|[.:] )Who \w+s\b": "Whoever",
    r"\bbut for \d": "except",
    r"\bas ever\b": "as usual",
    r"\bat the most\b": "at most",
}
PAGES = [
    path
    for top in ("*.md", "docs/**/*.md", "examples/**/*.md", "changes/*.md", "benchmarks/*.md")
    for path in sorted(ROOT.glob(top))
    # What is released stays as it was said.
    if path != ROOT / "CHANGELOG.md"
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_are_idiomatic(path):
    """None of the phrases that were found to be wrong comes back."""
    text = " ".join(path.read_text(encoding="utf-8").split())
    found = {
        match[0]: better
        for pattern, better in UNIDIOMATIC.items()
        for match in re.finditer(pattern, text)
    }
    assert {} == found
