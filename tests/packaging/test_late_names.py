"""Names that a package fetches at first use: type checkers, people and programs see the same."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module

import pytest

from tests.packaging.sources import modules, tree

PACKAGES = ("roost_core", "roost_core.backend", "roost_core.models")


def for_types(package: str) -> dict[str, str]:
    """Return what a package imports for type checkers only: each name and its full place."""
    found = {}
    for node in tree(package).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for one in node.body:
                assert isinstance(one, ast.ImportFrom)
                found |= {alias.name: f"{one.module}.{alias.name}" for alias in one.names}
    return found


def test_no_package_has_a_way_of_its_own():
    """Every package with late names fetches them by the one helper."""
    own = {
        name
        for name in modules()
        for node in tree(name).body
        if isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")
    }
    assert set() == own
    users = {name for name in modules() if "late_names(" in ast.unparse(tree(name))}
    assert {*PACKAGES, "roost_core.late"} == users


@pytest.mark.parametrize("package", PACKAGES)
def test_all_see_the_same_names(package):
    """What type checkers are told is what is fetched; it is listed, and public."""
    found = import_module(package)
    told = for_types(package)
    assert told
    for name, place in told.items():
        module, _, attribute = place.rpartition(".")
        assert getattr(import_module(module), attribute) is getattr(found, name)
    assert set() == set(told) - set(found.__all__)
    assert set() == set(found.__all__) - set(dir(found))


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_listed_before_they_are_fetched(package):
    """An editor that asks a fresh package for its names gets all of them, and fetches none."""
    lines = (
        f"import {package} as one",
        "assert not set(one.__all__) - set(dir(one)), set(one.__all__) - set(dir(one))",
        f"assert not set({sorted(for_types(package))}) & set(vars(one))",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there(package):
    """It is an error that says so, and that Python can add a suggestion to."""
    found = import_module(package)
    with pytest.raises(
        AttributeError, match=f"module '{package}' has no attribute 'Snapshott'"
    ) as it:
        _ = found.Snapshott
    assert ("Snapshott", found) == (it.value.name, it.value.obj)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_fetched_name_stays(package):
    """The second look at a name does not ask again."""
    found = import_module(package)
    for name in for_types(package):
        assert getattr(found, name) is vars(found)[name]
