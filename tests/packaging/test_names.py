"""A name stands for one thing, so that a reader who has met it once knows it."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.packaging.sources import is_in, modules, tree

#: The model of a backend is put together of parts that are named like what they stand for.
MODEL = "roost_core.testing"


def test_each_class_of_the_core_has_a_name_of_its_own():
    """No two modules of the core have a class of the same name."""
    found = defaultdict(list)
    for module in modules():
        if is_in(module, "roost_core") and not is_in(module, MODEL):
            for node in tree(module).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(module)
    assert {} == {name: homes for name, homes in found.items() if len(homes) > 1}
