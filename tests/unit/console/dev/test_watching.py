"""What counts as a change, and when a change is over."""

from __future__ import annotations

import os

import pytest

from roost_plugins.console.dev import watching
from roost_plugins.console.dev.watching import Settling, Watcher, signature


@pytest.fixture
def package(tmp_path):
    """Make a package with a module and a folder of somebody else's code."""
    folder = tmp_path / "agent"
    (folder / "deep").mkdir(parents=True)
    for name in ("__init__.py", "engine.py", "deep/tools.py"):
        (folder / name).write_text("")
    return folder


def watching_all(package) -> Watcher:
    """Return a watcher of the package."""
    watcher = Watcher()
    watcher.watch({}, [str(package)])
    return watcher


def test_nothing_has_changed(package):
    """All code in the folder is watched, and stays as it is."""
    watcher = watching_all(package)
    assert (3, []) == (len(watcher), watcher.changes())


def test_each_change_counts_once(package):
    """A file that is written, one that is new, and one that is gone."""
    watcher = watching_all(package)
    (package / "engine.py").write_text("changed")
    (package / "deep/more.py").write_text("new")
    (package / "deep/tools.py").unlink()
    expected = [str(package / one) for one in ("deep/more.py", "deep/tools.py", "engine.py")]
    assert expected == watcher.changes()
    assert [] == watcher.changes()


def test_a_save_through_a_rename_counts(package):
    """Editors write beside the file and rename: same size, same time, another inode."""
    path = package / "engine.py"
    path.write_text("one")
    watcher = watching_all(package)
    then = os.stat(path)
    beside = package / ".engine.py.swp"
    beside.write_text("two")
    os.utime(beside, ns=(then.st_atime_ns, then.st_mtime_ns))
    beside.replace(path)
    assert [str(path)] == watcher.changes()


def test_two_saves_within_a_second(package):
    """Times are compared as exactly as the file system keeps them."""
    path = package / "engine.py"
    os.utime(path, ns=(1_000_000_000, 1_000_000_000))
    watcher = watching_all(package)
    os.utime(path, ns=(1_000_000_000, 1_000_000_001))
    assert [str(path)] == watcher.changes()


def test_a_change_after_it_was_read(package):
    """What a file was when it was read is what counts: nothing is missed in between."""
    path = package / "engine.py"
    read = signature(str(path))
    path.write_text("saved while the worker was loading")
    watcher = Watcher()
    watcher.watch({str(path): read}, [])
    assert [str(path)] == watcher.changes()


def test_what_tools_and_steps_write_does_not_count(package):
    """Caches, environments, hidden folders, data: none of it is code of the package."""
    watcher = watching_all(package)
    for folder in ("__pycache__", ".roost", "node_modules", "env"):
        (package / folder).mkdir()
        (package / folder / "x.py").write_text("")
    (package / "env" / "pyvenv.cfg").write_text("")
    (package / "state.json").write_text("{}")
    (package / ".hidden.py").write_text("")
    (package / "env" / "x.py").unlink()
    watcher.changes()
    assert 3 == len(watcher)


def test_a_file_that_is_not_there_yet(package):
    """A module that was missing is watched for."""
    watcher = Watcher()
    watcher.watch({str(package / "later.py"): None}, [])
    assert [] == watcher.changes()
    (package / "later.py").write_text("")
    assert [str(package / "later.py")] == watcher.changes()


def test_what_a_broken_load_has_read_comes_on_top(package):
    """The files from before stay watched as they are: an old difference is not told again."""
    watcher = watching_all(package)
    (package / "engine.py").write_text("broken")
    (package / "deep/tools.py").write_text("changed, too")
    assert 2 == len(watcher.changes())
    watcher.watch_also({str(package / "engine.py"): signature(str(package / "engine.py"))})
    assert [] == watcher.changes()
    (package / "deep/tools.py").write_text("mended elsewhere")
    assert [str(package / "deep/tools.py")] == watcher.changes()


def test_what_is_kept_stays(package, tmp_path):
    """The project's own file is watched whatever was read."""
    project = tmp_path / "pyproject.toml"
    project.write_text("one")
    watcher = Watcher()
    watcher.keep({str(project): signature(str(project))}, [])
    watcher.watch({}, [str(package)])
    project.write_text("another")
    assert [str(project)] == watcher.changes()


def test_too_many_files(package, monkeypatch):
    """A folder with more code than can be watched cheaply is said, not watched."""
    monkeypatch.setattr(watching, "MOST_FILES", 2)
    watcher = watching_all(package)
    assert ((str(package),), 0) == (watcher.too_large, len(watcher))


def test_a_link_back_up_is_no_endless_way(package):
    """A folder that contains itself ends."""
    (package / "deep/up").symlink_to(package)
    assert 3 == len(watching_all(package))


def test_many_saves_are_one_change():
    """It is over when nothing more comes for a moment."""
    settling = Settling(quiet=0.15, most=2.0)
    settling.see(["a"], 1.0)
    assert [] == settling.settled(1.1)
    settling.see(["b"], 1.1)
    assert [] == settling.settled(1.2)
    assert ["a", "b"] == settling.settled(1.26)
    assert ([], False) == (settling.settled(9.0), settling.is_waiting)


def test_changes_without_an_end_are_not_waited_for():
    """Something that writes all the time does not hold the reload up for ever."""
    settling = Settling(quiet=0.15, most=2.0)
    for tenth in range(21):
        settling.see([str(tenth)], 1.0 + tenth / 10)
    assert 21 == len(settling.settled(3.0))
