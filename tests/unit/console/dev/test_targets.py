"""What the words after ``roost dev`` mean."""

from __future__ import annotations

import pytest

from roost_core.errors import InvalidInput
from roost_plugins.console.dev import targets

PROJECT = """
[project]
name = "my-agent"
[project.entry-points.roost]
my_agent = "my_agent.engine"
more = "my_agent.more:thing"
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def project(here):
    """Make a project as ``roost new`` does."""
    folder = here / "my_agent"
    (folder / "src/my_agent").mkdir(parents=True)
    (folder / "src/my_agent/__init__.py").write_text("")
    (folder / "pyproject.toml").write_text(PROJECT)
    return folder


@pytest.mark.parametrize("words", [["my_agent"], ["./my_agent"], ["my_agent/"]])
def test_a_folder_is_its_project(project, words):
    """Its entry points, where its modules are, and what to watch."""
    found = targets.find(words)
    assert ("my_agent.engine", "my_agent.more:thing") == found.plugins
    assert (str(project / "src"),) == found.roots
    assert (str(project / "src/my_agent"),) == found.folders
    assert (str(project / "pyproject.toml"),) == found.files


def test_no_word_is_this_folder(project, monkeypatch):
    """Inside the project's folder nothing need be named."""
    monkeypatch.chdir(project)
    assert ("my_agent.engine", "my_agent.more:thing") == targets.find([]).plugins


def test_no_word_and_no_project():
    """Then it is what is installed: nothing of one's own."""
    assert targets.Target() == targets.find([])


def test_a_project_without_src(here):
    """Its modules are beside its file."""
    (here / "flat/agent").mkdir(parents=True)
    (here / "flat/pyproject.toml").write_text('[project.entry-points.roost]\na = "agent.engine"\n')
    found = targets.find(["flat"])
    assert ((str(here / "flat"),), (str(here / "flat/agent"),)) == (found.roots, found.folders)


@pytest.mark.parametrize("text", ["engine.py", "./engine.py", "deep/../engine.py"])
def test_a_file(here, text):
    """As for --plugin: the same text."""
    (here / "deep").mkdir()
    (here / "engine.py").write_text("")
    found = targets.find([text])
    assert ((text,), (str(here / "engine.py"),)) == (found.plugins, found.files)


def test_an_installed_plugin_and_a_block():
    """Names of entry points are what they are elsewhere."""
    assert ("watchlist", "no:git_workspaces") == targets.find(
        ["watchlist", "no:git_workspaces"]
    ).plugins


@pytest.mark.parametrize("where", ["", "src"])
def test_a_module_of_this_folder(here, where):
    """Named, it is found, though the folder is on no path."""
    package = here / where / "agents_here"
    package.mkdir(parents=True)
    found = targets.find(["agents_here.one:engine"])
    assert ("agents_here.one:engine",) == found.plugins
    assert ((str(here / where),), (str(package),)) == (found.roots, found.folders)


def test_several(here, project):
    """Each word counts, once."""
    (here / "other.py").write_text("")
    found = targets.find(["my_agent", "other.py", "my_agent"])
    assert ("my_agent.engine", "my_agent.more:thing", "other.py") == found.plugins


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nothing.py", "there is no file nothing.py: `roost new NAME`"),
        ("./nothing", "there is no file nothing"),
        ("no_such_name", "neither a file, a folder with a project"),
        ("my_agnt", "did you mean my_agent"),
        ("empty", r"has no pyproject.toml with \[project.entry-points.roost\]"),
        ("bad", "cannot read bad/pyproject.toml"),
        ("factory", "factories only, so install it: pip install -e factory"),
    ],
)
def test_what_names_nothing(here, project, text, why):
    """One line that says what to do; nothing waits for a save that cannot come."""
    (here / "empty").mkdir()
    (here / "bad").mkdir()
    (here / "bad/pyproject.toml").write_text("[project")
    (here / "factory").mkdir()
    (here / "factory/pyproject.toml").write_text(
        '[project.entry-points."roost.engines"]\nmade = "made:build_engine"\n'
    )
    with pytest.raises(InvalidInput, match=why):
        targets.find([text])


@pytest.mark.parametrize("text", ["x = 1", "project = 3", "[project]\nentry-points = []"])
def test_a_project_file_of_another_shape(here, text):
    """It has no entry points: nobody's mistake."""
    (here / "pyproject.toml").write_text(text)
    assert targets.Target() == targets.find([])
