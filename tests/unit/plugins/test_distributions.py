"""What is installed and may have plugins: found on the path, the first of each name."""

from __future__ import annotations

import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from roost_core.plugins import distributions

MINE = "[mine]\none = package.module\n"


def install(folder, name, entry_points, *, ending="dist-info"):
    """Write a distribution's metadata into a folder."""
    written = folder / f"{name}-1.0.{ending}"
    written.mkdir(parents=True)
    (written / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    if entry_points is not None:
        (written / "entry_points.txt").write_text(entry_points)


def names():
    """Return the names of the distributions that have the text."""
    return [one.name for one in distributions.with_text("[mine]")]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Provide two folders that are the whole path."""
    found = (tmp_path / "a", tmp_path / "b")
    for one in found:
        one.mkdir()
    monkeypatch.setattr(sys, "path", [str(one) for one in found])
    return found


def test_only_those_with_the_text(folders):
    """Others, and folders that are no distributions, are none of them."""
    install(folders[0], "with", MINE)
    install(folders[0], "other", "[theirs]\none = package.module\n")
    install(folders[0], "without", None)
    install(folders[1], "old", MINE, ending="egg-info")
    (folders[1] / "single-1.0.egg-info").write_text("Name: single\n")
    (folders[1] / "package").mkdir()
    assert ["with", "old"] == names()


def test_what_others_say_is_not_read(folders, monkeypatch):
    """No object is made of them, and none of their other files is opened."""
    install(folders[0], "with", MINE)
    install(folders[0], "other", "[theirs]\none = package.module\n")
    made = []

    class Noted(metadata.PathDistribution):
        def __init__(self, path):
            made.append(Path(path).name)
            super().__init__(path)

    monkeypatch.setattr(metadata, "PathDistribution", Noted)
    assert 1 == len(list(distributions.with_text("[mine]")))
    assert ["with-1.0.dist-info"] == made


@pytest.mark.parametrize("name", ["my_plugin", "My_Plugin", "my.plugin"])
def test_the_first_of_a_name_counts(folders, name):
    """However the name is written, and even if the first has no plugins any more."""
    install(folders[0], name, None)
    install(folders[1], "my_plugin", MINE)
    assert [] == names()


def test_the_path_as_people_write_it(folders, monkeypatch):
    """The current folder, one that does not exist, and one twice."""
    install(folders[0], "with", MINE)
    monkeypatch.chdir(folders[0])
    monkeypatch.setattr(sys, "path", ["", str(folders[1]), str(folders[0]), "/does/not/exist"])
    assert ["with"] == names()


def test_archives_and_other_finders(folders, monkeypatch):
    """What is in an archive on the path, or offered by a finder of a program's own, counts, too."""
    archive = folders[0] / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("packed-1.0.dist-info/METADATA", "Name: packed\nVersion: 1.0\n")
        file.writestr("packed-1.0.dist-info/entry_points.txt", MINE)
    elsewhere = folders[0] / "elsewhere"
    install(elsewhere, "offered", MINE)
    install(folders[1], "packed", MINE)

    class Finder:
        """It has distributions, and no modules."""

        def find_spec(self, name, path=None, target=None):
            return None

        def find_distributions(self, context):
            return metadata.MetadataPathFinder.find_distributions(
                metadata.DistributionFinder.Context(path=[str(elsewhere)])
            )

    monkeypatch.setattr(sys, "path", [str(archive), str(folders[1])])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert {"packed", "offered"} == set(names())
    assert 2 == len(names())


def test_as_the_library_finds_them():
    """Here and now, all distributions that have entry points of a common group are found."""
    group = "console_scripts"
    found = list(distributions.with_text(f"[{group}]"))
    points = [(one.name, point) for one in found for point in one.entry_points]
    expected = {(one.dist.name, one) for one in metadata.entry_points(group=group)}
    assert expected == {(name, point) for name, point in points if point.group == group}
