"""What setup.cfg, pyproject.toml and tox.ini say, and that they do not contradict each other."""

from __future__ import annotations

import configparser
import importlib.util
import re
import tomllib

import pytest

import roost_core
from tests.packaging.sources import ROOT


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    """Give the distribution's metadata as it is written."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def lines(text: str) -> list[str]:
    """Return the entries of a list in a file."""
    stripped = (line.strip() for line in text.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


def lowest(requirement: str) -> tuple[str, str]:
    """Return a requirement's name, with extras, and its lower bound."""
    found = re.match(r"([A-Za-z0-9_.\[\]-]+)>=([0-9.]+)", requirement)
    assert found is not None, f"{requirement} has no lower bound"
    return found[1], found[2]


def test_no_key_twice(setup_cfg):
    """pyproject.toml has the build system and the tools' settings, setup.cfg the rest."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    assert {"build-system", "tool"} == set(pyproject)
    assert "setuptools" not in pyproject["tool"]
    # setuptools adds egg_info to that of an sdist.
    sections = {name.split(".")[0] for name in setup_cfg.sections()} - {"egg_info"}
    assert {"metadata", "options"} == sections


def test_licence_is_said_once(setup_cfg):
    """The SPDX expression names the licence, so no classifier does."""
    assert "MIT" == setup_cfg["metadata"]["license"]
    assert "License ::" not in setup_cfg["metadata"]["classifiers"]


def test_description_works_on_an_index():
    """An index resolves no relative address: no link has one, and no word is lost."""
    spec = importlib.util.spec_from_file_location("setup_of_roost", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = setup.description(readme)
    targets = re.findall(r"\]\(([^)]*)\)", text)
    assert targets
    assert [] == [one for one in targets if not one.startswith(("https://", "#"))]
    assert "<" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for words in (
        "roost dev my_agent",
        "[pluggy](https://",
        ": design |",
    ):
        assert words in text


def test_version_is_said_once(setup_cfg):
    """The distribution's version is the package's."""
    assert "attr: roost_core.__version__" == setup_cfg["metadata"]["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", roost_core.__version__)


def test_hooks_use_the_linters_that_are_checked_with(setup_cfg):
    """What a hook lets pass before a commit, the lint stage lets pass as well."""
    # mypy is not one: it needs all that the product imports, and takes too long for each commit.
    lint = lines(setup_cfg["options.extras_require"]["lint"])
    checked = {one for one in lint if not one.startswith("mypy")}
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert checked == set(re.findall(r'additional_dependencies: \["(.+?)"\]', text))


def test_changelog_knows_the_version():
    """The change log's first entry is what comes next, or this version."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {roost_core.__version__}" in text


def test_lowest_environment_tests_what_is_declared(setup_cfg):
    """The environment ``lowest`` pins each dependency to the bound that setup.cfg gives."""
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    pinned = dict(
        entry.split("==") for entry in lines(tox["testenv:lowest"]["deps"]) if "==" in entry
    )
    declared = [
        *lines(setup_cfg["options"]["install_requires"]),
        *lines(setup_cfg["options.extras_require"]["testing"]),
    ]
    assert dict(map(lowest, declared)) == pinned


def test_every_tested_python_is_classified(setup_cfg):
    """The classifiers, tox and the lower bound name the same Pythons."""
    versions = re.findall(r"Python :: (3\.\d+)", setup_cfg["metadata"]["classifiers"])
    text = (ROOT / "tox.ini").read_text(encoding="utf-8")
    numbers = re.search(r"py\{([\d,]+)\}", text)
    assert numbers is not None
    assert [version.replace(".", "") for version in versions] == numbers[1].split(",")
    assert f">={versions[0]}" == setup_cfg["options"]["python_requires"]
