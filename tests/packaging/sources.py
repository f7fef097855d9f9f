"""The product's modules, and what they import, by their syntax alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("roost_core", "roost_plugins")


@attrs.frozen
class Import:
    """One imported module, and where the import is."""

    module: str
    line: int
    #: Whether only type checkers see it.
    is_for_types: bool = False


@cache
def modules() -> dict[str, Path]:
    """Return every module of the product and its file."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


@cache
def all_imports(module: str) -> tuple[Import, ...]:
    """Return what a module imports: at its top, in a function, or for type checkers."""
    return tuple(_imports(tree(module), is_for_types=False))


def imports(module: str) -> tuple[Import, ...]:
    """Return what a module imports when it runs."""
    return tuple(one for one in all_imports(module) if not one.is_for_types)


def _imports(node: ast.AST, *, is_for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(one.name, child.lineno, is_for_types) for one in child.names)
        elif isinstance(child, ast.ImportFrom):
            for alias in child.names:
                full = f"{child.module}.{alias.name}"
                name = full if full in modules() else str(child.module)
                yield Import("." * child.level + name, child.lineno, is_for_types)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _imports(ast.Module(child.body, []), is_for_types=True)
            yield from _imports(ast.Module(child.orelse, []), is_for_types=is_for_types)
        else:
            yield from _imports(child, is_for_types=is_for_types)


def is_in(module: str, package: str) -> bool:
    """Return whether ``module`` is ``package`` or inside of it."""
    return module == package or module.startswith(f"{package}.")
