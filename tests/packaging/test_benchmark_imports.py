"""The benchmarks' modules import each other one way only, and only from below."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter

from tests.packaging.sources import ROOT, is_in

#: From the bottom to the top: each imports what comes before it, and its own.
ORDER = (
    "benchmarks.measuring",
    "benchmarks.showing",
    "benchmarks.rows",
    "benchmarks.probes",
    "benchmarks.catalogue",
)


@cache
def graph() -> dict[str, frozenset[str]]:
    """Return what each module imports of the others: anywhere in it, for type checkers too."""
    trees = {}
    for path in sorted((ROOT / "benchmarks").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    found = {}
    for name, tree in trees.items():
        named = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                named.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                named.update(one if one in trees else str(node.module) for one in whole)
        found[name] = frozenset(named & set(trees) - {name})
    return found


def test_no_imports_in_circles():
    """No module needs itself, directly or not; a package is imported before its modules."""
    with_packages = {
        name: needs | {one.rpartition(".")[0] for one in {name, *needs} if "." in one} - {name}
        for name, needs in graph().items()
    }
    assert set(graph()) == set(TopologicalSorter(with_packages).static_order())


def test_imports_run_one_way():
    """What measures and shows knows no row, and no row or probe knows the catalogue of all."""

    def rank(module: str) -> int:
        places = [place for place, one in enumerate(ORDER) if is_in(module, one)]
        return places[0] if places else len(ORDER)

    upward = {
        f"{name} imports {one}"
        for name, needs in graph().items()
        for one in needs
        if rank(one) > rank(name) and name != "benchmarks"
    }
    assert set() == upward
