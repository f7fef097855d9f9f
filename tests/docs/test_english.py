"""Pages and code are written as a native engineer would write them, as far as a test can check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

#: Phrases that nobody would use, and what people say instead.
UNIDIOMATIC = {
    r"\bin case that\b": "if",
    r"\ba wish to\b": "a request to",
    r"\basked wrongly\b": "wrong usage",
    r"\bspeaks? in riddles\b": "is unclear",
    r"\bseldom\b": "rarely",
    r"\b(for|of) who\b(?!,| in\b)": "for whoever, for those who",
    r"(^|[.:] )Who \w+s\b": "Whoever",
    r"\bbut for \d": "except",
    r"\bas ever\b": "as usual",
    r"\bat the most\b": "at most",
}
#: The same for docstrings, comments, help and errors in the code, Python's and Lua's.
UNIDIOMATIC_IN_CODE = {
    # "seldom" is also a name in the scripts.
    **{pattern: better for pattern, better in UNIDIOMATIC.items() if "seldom" not in pattern},
    r"\b[Ss]o (many|much)\b(?! (as|that|more|of)\b)": "this many, this much",
    r"\b(takes?|lasts?|for) so long\b(?! as\b)": "this long",
    r"\bhas its way\b": "gets what it needs",
    r"\b(makes?|made) known\b": "announces",
    r"\b[Tt](akes?|ook) note\b": "notes, records",
    r"\bgo(es|ing)? on\b(?! (strike|sale))": "continues",
    r"\basks? nobody\b": "sends no request",
    r"\bno circle\b": "no cycle",
    r"\bputs? (it |them )?right\b": "repairs, fixes",
    r"\bof no use\b": "unusable",
    r"\bin good order\b": "cleanly",
    r"\bin one (go|piece)\b": "at once, unparsed",
    r"\ball the same\b": "still, anyway",
    r"\bTell whether\b": "Return whether",
    r"\bin silence\b": "silently",
    r"\bstands? twice\b": "appears twice",
}
PAGES = [
    path
    for top in ("*.md", "docs/**/*.md", "examples/**/*.md", "changes/*.md", "benchmarks/*.md")
    for path in sorted(ROOT.glob(top))
    # What is released keeps its words.
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


#: The code, except this file, which has all of the phrases.
CODE = [
    path
    for top in ("roost_core", "roost_plugins", "scripts", "benchmarks", "tests")
    for suffix in ("*.py", "*.lua", "*.sh")
    for path in sorted((ROOT / top).rglob(suffix))
    if path != Path(__file__)
]


def _words(path: Path) -> str:
    """Return a file on one line: without marks of comments, and with broken strings joined."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^[ \t]*(#:?|--) ", "", text)
    return re.sub(r'"\s+f?"', "", " ".join(text.split()))


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_code_is_idiomatic(path):
    """Docstrings, comments, help and errors have none of them, either."""
    text = _words(path)
    found = {
        match[0]: better
        for pattern, better in UNIDIOMATIC_IN_CODE.items()
        for match in re.finditer(pattern, text)
    }
    assert {} == found
