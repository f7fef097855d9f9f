"""``roost new``: the package that it writes, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from roost_core.cli.app import build
from roost_core.models import ENGINE_ID


def new(*words: object) -> Result:
    """Run ``roost new``."""
    return CliRunner().invoke(build(), ["new", *map(str, words)], prog_name="roost")


def files(folder: Path) -> set[str]:
    """Return the paths of all files under a folder."""
    return {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_its_tests_pass_at_once(here):
    """What a newcomer types next works, before anything is installed."""
    result = new("my-agent")
    assert (0, "my-agent\n") == (result.exit_code, result.stdout)
    assert "next: roost dev my-agent" in result.stderr
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=here / "my-agent",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, done.stdout
    assert "6 passed" in done.stdout


def test_its_readme_installs_what_it_runs(here):
    """A newcomer may have no pytest: it comes before the tests, by an extra that there is."""
    new("my-agent")
    folder = here / "my-agent"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    install, run = "pip install -e '.[test]'\n", "python -m pytest\n"
    assert 0 < readme.index(install) < readme.index(run)
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert ["pytest"] == project["optional-dependencies"]["test"]
    shown = CliRunner().invoke(build(), ["new", "--help"], prog_name="roost").output
    assert install.strip() in shown


def test_the_files(here):
    """The module is named like the package, and the entry point leads to the engine."""
    new("my-agent", "--engine", "crawl", "--folder", "deep/er")
    folder = here / "deep/er"
    assert files(folder) == {
        "README.md",
        "pyproject.toml",
        "src/my_agent/__init__.py",
        "src/my_agent/engine.py",
        "tests/test_engine.py",
    }
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert "my-agent" == project["name"]
    assert {"crawl": "my_agent.engine"} == project["entry-points"]["roost"]
    assert ENGINE_ID.fullmatch("crawl")
    assert 'engine_id = "crawl"' in (folder / "src/my_agent/engine.py").read_text()
    assert "$" not in "".join((folder / one).read_text() for one in files(folder))


def test_it_is_clean(here):
    """The linter and the formatter have nothing to say about it."""
    pytest.importorskip("ruff", reason="ruff is not installed: it comes with the extra lint")
    new("my-agent")
    for words in (["check", "--isolated", "--select", "E,F,I,B,UP"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "."],
            cwd=here / "my-agent",
            capture_output=True,
            text=True,
        )
        assert 0 == done.returncode, done.stdout


def test_its_engine_runs_from_its_file(here):
    """As its README says, without being installed."""
    new("my-agent")
    result = CliRunner().invoke(
        build(), ["engines", "--plugin", "my-agent/src/my_agent/engine.py"], prog_name="roost"
    )
    assert (0, True) == (result.exit_code, "my-agent" in result.stdout)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("My-Agent", "lower-case letters"),
        ("9lives", "the first a letter"),
        ("a/b", "cannot be a package's name"),
        ("../x", "cannot be a package's name"),
        ("x" * 65, "at most 64"),
        ("json", "there is a module json already"),
        ("roost-core", "there is a module roost_core already"),
        ("9lives", "joined by '-' or '_'"),
        ("class", "class is a word of Python's own"),
    ],
)
def test_a_name_that_cannot_be_used(here, name, why):
    """One line says why, and nothing is written."""
    result = new(name)
    assert (2, "") == (result.exit_code, result.stdout)
    assert why in result.stderr
    assert [] == list(here.iterdir())


def test_nothing_is_overwritten(here):
    """A folder in use stays as it is; an empty one is taken."""
    (here / "my-agent").mkdir()
    (here / "my-agent/mine.txt").write_text("mine")
    result = new("my-agent")
    assert (2, "") == (result.exit_code, result.stdout)
    assert "my-agent exists already" in result.stderr
    assert {"mine.txt"} == files(here / "my-agent")
    (here / "other").mkdir()
    assert 0 == new("other").exit_code


def test_a_folder_that_cannot_be_written(here):
    """The reason is in the one line, and nothing half-written is left."""
    (here / "file").write_text("")
    result = new("my-agent", "--folder", "file/my-agent")
    assert (1, "") == (result.exit_code, result.stdout)
    assert "cannot write file/my-agent: File exists" in result.stderr
    assert {"file"} == files(here)


def test_into_the_folder_where_one_stands(here):
    """It stays the same folder: a shell that is in it would be nowhere otherwise."""
    before = here.stat().st_ino
    assert 0 == new("my-agent", "--folder", ".").exit_code
    assert before == here.stat().st_ino
    assert files(here) >= {"README.md", "pyproject.toml", "src/my_agent/engine.py"}
    assert {"README.md", "pyproject.toml", "src", "tests"} == {one.name for one in here.iterdir()}


def test_a_folder_that_a_shell_would_take_apart(here):
    """The hint can be typed as it stands."""
    result = new("my-agent", "--folder", "my folder/x")
    assert (0, "my folder/x\n") == (result.exit_code, result.stdout)
    assert "next: roost dev 'my folder/x'" in result.stderr
