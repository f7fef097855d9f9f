"""Modules and distributions that a test makes for itself, and that vanish with it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

#: Writes a file into an import path of the test's own and returns its path.
Write = Callable[..., Path]
#: Installs a distribution: its name, the text of its entry_points.txt, its version.
Install = Callable[..., None]


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Return a function that writes a module; it is forgotten after the test."""
    root = tmp_path / "importable"
    root.mkdir()
    monkeypatch.syspath_prepend(root)
    before = set(sys.modules)

    def write(name: str, source: str = "") -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    yield write
    for name in set(sys.modules) - before:
        if name.startswith(("acme", "roost_plugin_")):
            del sys.modules[name]


@pytest.fixture
def install_distribution(write_module: Write, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a distribution; nothing else is installed."""
    metadata = ("*.dist-info", "*.egg-info")
    bare = [
        path for path in sys.path if not any(next(Path(path).glob(one), None) for one in metadata)
    ]
    monkeypatch.setattr(sys, "path", bare)

    def install(name: str, entry_points: str, version: str = "1.0") -> None:
        folder = f"{name.replace('-', '_')}-{version}.dist-info"
        write_module(f"{folder}/METADATA", f"Name: {name}\nVersion: {version}\n")
        write_module(f"{folder}/entry_points.txt", entry_points)

    return install
