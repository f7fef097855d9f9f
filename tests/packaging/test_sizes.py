"""No file or function is so long that a reader loses the thread."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.sources import ROOT

FOLDERS = (
    "roost_core",
    "roost_plugins",
    "tests",
    "benchmarks",
    "docs",
    "examples",
    "scripts",
)
FILE_LINES = 450
#: With decorators and docstring.
FUNCTION_LINES = 60


def files() -> Iterator[Path]:
    """Yield every Python file of the repository, except what tools have made in it."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            if not any(part.startswith(".") or part in ("_build", "build") for part in parts):
                yield path


def too_long(name: str, text: str) -> Iterator[str]:
    """Yield a file's name if it is too long, and the names of its functions that are."""
    if len(text.splitlines()) > FILE_LINES:
        yield name
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            assert node.end_lineno is not None
            if node.end_lineno - start >= FUNCTION_LINES:
                yield f"{name}::{node.name}"


def test_nothing_is_too_long():
    """A file or a function that has grown beyond the bound is to be split by subject."""
    found = set()
    for path in files():
        name = path.relative_to(ROOT).as_posix()
        found.update(too_long(name, path.read_text(encoding="utf-8")))
    assert set() == found


@pytest.mark.parametrize("lines", [FUNCTION_LINES, FUNCTION_LINES + 1])
def test_all_lines_of_a_function_count(lines):
    """Its decorators and its docstring too."""
    head = '@one\n@another\nasync def f():\n    """Docstring."""\n'
    text = head + "    pass\n" * (lines - 4)
    assert ([] if lines == FUNCTION_LINES else ["m.py::f"]) == list(too_long("m.py", text))


@pytest.mark.parametrize("lines", [FILE_LINES, FILE_LINES + 1])
def test_all_lines_of_a_file_count(lines):
    """Blank ones and comments too."""
    assert ([] if lines == FILE_LINES else ["m.py"]) == list(too_long("m.py", "\n" * lines))
