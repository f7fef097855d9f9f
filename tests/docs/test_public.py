"""Public names are what the reference says, and Roost's own plugins use no other."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.docs.public import directives, documented, public_names, resolved
from tests.packaging.sources import is_in, modules, tree

PLUGINS = [name for name in modules() if is_in(name, "roost_plugins")]


@pytest.mark.parametrize("one", directives(), ids=lambda one: one.name)
def test_the_reference_says_what_each_is(one):
    """A class is a class, a function one, and each says what it is for."""
    if one.kind == "module":
        assert one.name in modules()
        return
    found = resolved(one.name)
    assert {
        "class": inspect.isclass,
        "exception": inspect.isclass,
        "function": lambda value: callable(value) and not inspect.isclass(value),
        "data": lambda value: not callable(value),
    }[one.kind](found)
    if one.kind != "data":
        assert inspect.getdoc(found)


@pytest.mark.parametrize("name", sorted(public_names()))
def test_public_names_are_there(name):
    """Each public name exists; classes and functions have a docstring of their own."""
    found = resolved(name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert found.__doc__


def test_no_name_is_documented_twice():
    """Each has one place in the reference."""
    twice = [name for name, times in Counter(documented()).items() if times > 1]
    assert [] == twice


def used(module: str) -> Iterator[str]:
    """Yield the names of the core that a module imports, and what it takes of whole modules."""
    wholes: dict[str, str] = {}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            wholes |= {one.asname or one.name: one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and is_in(str(node.module), "roost_core"):
            for one in node.names:
                full = f"{node.module}.{one.name}"
                if full in modules():
                    wholes[one.asname or one.name] = full
                else:
                    yield full
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            whole = wholes.get(node.value.id, "")
            if is_in(whole, "roost_core"):
                yield f"{whole}.{node.attr}"


@pytest.mark.parametrize("module", PLUGINS)
def test_plugins_use_public_names_only(module):
    """What Roost's own plugins can do, anybody's can: they use the same names."""
    assert set() == set(used(module)) - public_names()


def test_what_is_used_is_seen():
    """The search of imports finds names, names of whole modules, and those in functions."""
    demo = set(used("roost_plugins.watchlist.demo"))
    assert {"roost_core.cli.output.note", "roost_core.client.roost.Roost"} <= demo
    assert "roost_core.cli.lazy.LazyCommand" in set(used("roost_plugins.watchlist"))
    assert "roost_core.__version__" in set(used("roost_plugins.watchlist.fetch"))
