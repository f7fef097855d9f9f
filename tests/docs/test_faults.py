"""The table of faults names each test that injects one, and every fault has at least one."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import page, rows, sections

TESTS = Path(__file__).resolve().parents[1]


def injected(tree: ast.AST) -> Iterator[str]:
    """Yield the fault of each mark ``fault(...)`` and each call of ``tally(...)``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
        if name in ("fault", "tally"):
            # A text begins with its fault and a comma.
            yield ast.unparse(node.args[0]).strip("f'\"").partition(",")[0]


def test_the_table_of_faults():
    """Each row has the files that count tries of its fault, and no other."""
    expected = defaultdict(set)
    for path in TESTS.rglob("test_*.py"):
        for fault in injected(ast.parse(path.read_text(encoding="utf-8"))):
            expected[fault].add(f"`{path.relative_to(TESTS).as_posix()}`")
    table = rows(sections(page("contributing"))["Faults"])
    assert expected == {row[0]: set(row[2].split(", ")) for row in table[1:]}
    assert [*map(str, range(1, 16)), "mixed"] == [row[0] for row in table[1:]]
