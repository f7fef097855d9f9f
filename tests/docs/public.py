"""What the reference calls public, read from its directives."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import attrs

import roost_core
from tests.docs.pages import page

_DIRECTIVE = re.compile(r"^\.\. auto(\w+):: (\S+)\n((?:   :.*\n)*)", re.MULTILINE)


@attrs.frozen
class Directive:
    """One directive of the reference: its kind without ``auto``, the name, its options."""

    kind: str
    name: str
    options: dict[str, str]


def directives() -> list[Directive]:
    """Return the directives in order."""
    return [
        Directive(kind, name, dict(re.findall(r":([\w-]+): ?(.*)", options)))
        for kind, name, options in _DIRECTIVE.findall(page("reference"))
    ]


def documented() -> list[str]:
    """Return the names that the directives show, each with its module, once for each time."""
    found = []
    for one in directives():
        if one.kind != "module":
            found.append(one.name)
        elif "no-members" not in one.options:
            left_out = re.split(r",\s*", one.options.get("exclude-members", ""))
            module = importlib.import_module(one.name)
            found += [f"{one.name}.{name}" for name in members(module) if name not in left_out]
    return found


@cache
def public_names() -> frozenset[str]:
    """Return all public names, each with its module."""
    own = {"__version__", *roost_core.__all__}
    return frozenset({*documented(), *(f"roost_core.{name}" for name in own)})


def names_of_roost(path: Path) -> set[str]:
    """Return the names of Roost's that a file imports, with their modules."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{one.name}" for one in node.names}
    return {name for name in imported if name.startswith(("roost_core", "roost_plugins"))}


def members(module: ModuleType) -> list[str]:
    """Return what a module's page shows: what it lists, or its own documented names."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    source = inspect.getsource(module)
    lines = source.splitlines()
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name] if ast.get_docstring(node) else []
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            is_explained = lines[node.lineno - 2].startswith("#:")
            names = [ast.unparse(one) for one in targets] if is_explained else []
        else:
            names = []
        found += [name for name in names if not name.startswith("_")]
    return found


def resolved(name: str) -> object:
    """Return what a public name stands for.

    :raises AttributeError: nothing does.
    """
    home, _, attribute = name.rpartition(".")
    try:
        found: object = importlib.import_module(home)
    except ModuleNotFoundError:
        found = resolved(home)
    return getattr(found, attribute)
