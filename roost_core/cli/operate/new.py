"""``roost new``."""

from __future__ import annotations

import importlib.util
import keyword
import re
import secrets
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Final

import click

from roost_core.cli import output
from roost_core.cli.arguments import ENGINE_TYPE
from roost_core.cli.options import RoostCommand, plugin_option
from roost_core.errors import InvalidInput, RoostError

_SCAFFOLD: Final = Path(__file__).parent / "scaffold"
#: What a new package has, and which file of ``scaffold`` each is made from: these end with
#: ``.txt``, so that no tool takes them for its own.
_FILES: Final = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "src/$module/__init__.py": "init.py.txt",
    "src/$module/engine.py": "engine.py.txt",
    "tests/test_engine.py": "test_engine.py.txt",
}
#: What a distribution may be called, so that its module can have the same name.
_NAME: Final = re.compile("[a-z][a-z0-9]*([-_][a-z0-9]+)*")
#: The longest name. Characters.
_MOST: Final = 64
#: The oldest Python that Roost runs on.
_PYTHON: Final = "3.11"


@click.command(
    "new",
    cls=RoostCommand,
    params=[plugin_option()],
    example=(
        "roost new my-agent && roost dev my-agent",
        "cd my-agent && pip install -e '.[test]' && python -m pytest",
    ),
)
@click.argument("name")
@click.option("--engine", type=ENGINE_TYPE, metavar="E", help="The engine's id; NAME if absent.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to write it; ./NAME if absent. It must not exist, or be empty.",
)
def command(name: str, engine: str | None, folder: Path | None) -> None:
    """Write a package with an engine, its tests, pyproject.toml and a README.

    Prints the folder. Its tests pass at once; `roost dev NAME` runs it while you change it. No
    server is needed.
    """
    module = _module_of(name)
    target = folder or Path(name)
    values = {"name": name, "module": module, "engine": engine or name, "python": _PYTHON}
    _write(target, values)
    output.data(target)
    output.note(f"next: roost dev {shlex.quote(str(target))}")


def _module_of(name: str) -> str:
    """Return the name of the package's module.

    :raises InvalidInput: the name cannot be used.
    """
    if len(name) > _MOST or _NAME.fullmatch(name) is None:
        raise InvalidInput(
            f"{name!r:.80} cannot be a package's name: lower-case letters and digits, in words "
            f"joined by '-' or '_', at most {_MOST} characters, the first a letter"
        )
    module = name.replace("-", "_")
    if keyword.iskeyword(module):
        raise InvalidInput(f"{module} is a word of Python's own: choose another name")
    if importlib.util.find_spec(module) is not None:
        raise InvalidInput(f"there is a module {module} already: choose another name")
    return module


def _write(target: Path, values: dict[str, str]) -> None:
    """Write all files, or nothing.

    :raises InvalidInput: the folder is in use.
    :raises RoostError: it cannot be written.
    """
    module = values["module"]
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise InvalidInput(f"{target} exists already: choose another name, or another --folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        is_there = target.exists()
        # Beside it, so that it can be moved in one step; in it, if somebody may stand there.
        made = (target if is_there else target.parent) / f".{module}-{secrets.token_hex(4)}"
        made.mkdir()
        try:
            for path, text in _files(values):
                file = made / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            if not is_there:
                made.replace(target)
            else:
                for one in made.iterdir():
                    one.replace(target / one.name)
                made.rmdir()
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except OSError as error:
        raise RoostError(f"cannot write {target}: {error.strerror or error}") from error


def _files(values: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file."""
    for path, source in _FILES.items():
        text = (_SCAFFOLD / source).read_text(encoding="utf-8")
        yield Template(path).substitute(values), Template(text).substitute(values)
