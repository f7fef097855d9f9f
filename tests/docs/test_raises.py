"""What public functions and methods raise is in their docstrings."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import re
from collections.abc import Iterator

import attrs
import pytest

from roost_core import errors
from tests.docs.pages import page

#: Not the caller's to handle.
BUGS = {"AssertionError", "NotImplementedError"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@attrs.frozen
class Code:
    """A function: its module, its class if it is a method, and its syntax."""

    home: str
    owner: str | None
    function: Function

    @property
    def name(self) -> str:
        """Its full name."""
        return ".".join(filter(None, (self.home, self.owner, self.function.name)))


@functools.cache
def tree(home: str) -> ast.Module:
    """Return a module's syntax."""
    return ast.parse(inspect.getsource(importlib.import_module(home)))


def functions(node: ast.Module | ast.ClassDef) -> dict[str, Function]:
    """Return the functions of a module, or the methods of a class."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {one.name: one for one in node.body if isinstance(one, kinds)}


def methods(home: str, name: str | None) -> dict[str, Function]:
    """Return the methods of a class, or nothing."""
    for one in tree(home).body:
        if isinstance(one, ast.ClassDef) and one.name == name:
            return functions(one)
    return {}


def named() -> Iterator[tuple[str, str, bool]]:
    """Yield what the reference lists: module, name, and whether with its members."""
    pattern = r"auto(\w+):: (roost_core[\w.]+)((?:\n   :.*)*)"
    for kind, full, options in re.findall(pattern, page("reference")):
        with_members = ":no-members:" not in options
        if kind in ("class", "function"):
            home, _, name = full.rpartition(".")
            found = getattr(importlib.import_module(home), name)
            yield found.__module__, found.__name__, with_members
        elif kind == "module" and with_members:
            module = importlib.import_module(full)
            for name in getattr(module, "__all__", vars(module)):
                found = getattr(module, name)
                is_own = getattr(found, "__module__", "").startswith(full)
                if is_own and not name.startswith("_") and hasattr(found, "__name__"):
                    yield found.__module__, found.__name__, True


def public() -> Iterator[Code]:
    """Yield each public function and method."""
    for home, name, with_members in sorted(set(named())):
        if name in functions(tree(home)):
            yield Code(home, None, functions(tree(home))[name])
        for method, function in methods(home, name).items() if with_members else ():
            if not method.startswith("_") or method == "__init__":
                yield Code(home, name, function)


def called(code: Code, call: ast.Call) -> Code | None:
    """Return the core's function that is called, as far as names tell."""
    text = ast.unparse(call.func)
    if text.startswith("self."):
        found = methods(code.home, code.owner).get(text.removeprefix("self."))
        return found and Code(code.home, code.owner, found)
    if text in functions(tree(code.home)):
        return Code(code.home, None, functions(tree(code.home))[text])
    for node in ast.walk(tree(code.home)):
        home = str(node.module) if isinstance(node, ast.ImportFrom) else ""
        if home.startswith("roost_core.") and text in [one.name for one in node.names]:
            found = functions(tree(home)).get(text)
            return found and Code(home, None, found)
    return None


def is_caught(node: ast.AST, function: Function) -> bool:
    """Return whether a ``try`` of the function may catch what is there."""
    bodies = [one.body for one in ast.walk(function) if isinstance(one, ast.Try) and one.handlers]
    return any(node is child for body in bodies for part in body for child in ast.walk(part))


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when a function does; functions in it may be for others to call."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from parts(child)


def raised(code: Code, seen: set[str]) -> set[str]:
    """Return the errors that a function raises by name, itself or by what it calls."""
    if code.name in seen:
        return set()
    seen.add(code.name)
    found = set()
    for node in parts(code.function):
        if is_caught(node, code.function):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            found.add(ast.unparse(node.exc.func).rpartition(".")[2])
        elif isinstance(node, ast.Call) and (other := called(code, node)) is not None:
            found |= raised(other, seen)
    # A lower-case name is a function that makes an error: which one, its name does not say.
    return {error for error in found - BUGS if error[0].isupper()}


def kin(error: str) -> set[str]:
    """Return the names of an error's class and of its base classes."""
    found = getattr(errors, error, None) or getattr(builtins, error, None)
    return {error} if found is None else {kind.__name__ for kind in found.__mro__}


@pytest.mark.parametrize("code", list(public()), ids=lambda code: code.name)
def test_what_is_raised_is_documented(code):
    """Each error that the code names, or one of its base classes, is in the docstring."""
    text = ast.get_docstring(code.function) or ""
    told = set(re.findall(r":raises ~?(?:[\w.]+\.)?(\w+):", text))
    missing = {error for error in raised(code, set()) if not kin(error) & told}
    assert set() == missing
