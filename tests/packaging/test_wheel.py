"""The wheel: what is in it, and that it works where it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import urllib.parse
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

import roost_core
from tests.packaging.sources import PACKAGES, ROOT

pytestmark = pytest.mark.skipif(
    not os.environ.get("CI"), reason="takes a minute and a package index: set CI=1 to run it"
)


def run(*command: object, cwd: Path) -> str:
    """Run a command without this process's Python settings; return what it prints."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ROOST_", "PYTHON")) and name != "VIRTUAL_ENV"
    }
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert 0 == done.returncode, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Give a folder with the sdist and the wheel that is built from it, from a copy of the tree."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--outdir", dist, source, cwd=source)
    return dist


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """Give the wheel."""
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory) -> Path:
    """Give the commands' folder of a new environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return folder / "bin"


def expected_files() -> set[str]:
    """Return which files of the tree belong in the wheel."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_holds_the_packages_and_nothing_else(wheel):
    """Every module, script and marker is there; no tests, no documentation."""
    info = f"roost_runtime-{roost_core.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if name.startswith(info)}
    assert expected_files() == names - metadata
    assert f"{info}/licenses/LICENSE" in metadata
    for script in ("lua/claim.lua", "lua/lib/record.lua"):
        assert any(name.endswith(script) for name in names)
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_wheel_is_described(wheel):
    """An index shows the README's words, as Markdown."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
    assert "Description-Content-Type: text/markdown" in text
    assert "\n# Roost\n" in text
    assert "docs/pictures" not in text


def test_sdist_holds_the_tests(built):
    """Whoever packages Roost can test it: the sdist has sources, tests and documentation."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "tox.ini", "tests/conftest.py", "docs/index.md"} <= names
    # The pages link these.
    assert {"benchmarks/README.md", "changes/README.md", "examples/README.md"} <= names


def test_installed_wheel_knows_its_version(installed, tmp_path):
    """``roost --version`` works away from the source tree."""
    assert f"roost {roost_core.__version__}\n" == run(
        installed / "roost", "--version", cwd=tmp_path
    )


def test_installed_wheel_has_its_engine(installed, tmp_path):
    """The entry points are in the wheel: the shipped engine is found."""
    assert run(installed / "roost", "engines", cwd=tmp_path).startswith("watchlist\t")


def test_installed_wheel_plays_the_demo(installed, tmp_path):
    """The whole of it runs from the wheel: scripts, server, engine, artifact."""
    out = run(installed / "roost", "demo", cwd=tmp_path)
    assert "BROKEN" not in out
    assert "versions 1, 2, 3, 4" in out
    assert [] == list(tmp_path.iterdir())


def test_installed_packages_agree(installed, tmp_path):
    """No dependency is missing or in conflict."""
    assert "No broken requirements" in run(installed / "python", "-m", "pip", "check", cwd=tmp_path)


def test_installed_wheel_serves_the_console(installed, tmp_path):
    """Its templates, styles and scripts are in the wheel."""
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith(("ROOST_", "PYTHON"))
    }
    command = [installed / "roost", "--home", tmp_path / "h", "ui", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=tmp_path)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        page = opener.open(url, timeout=60).read().decode()
        files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        assert {".css", ".js", ".svg"} <= {Path(one.partition("?")[0]).suffix for one in files}
        for one in files:
            assert 200 == opener.open(urllib.parse.urljoin(url, one), timeout=60).status
    finally:
        process.terminate()
        process.communicate(timeout=60)
