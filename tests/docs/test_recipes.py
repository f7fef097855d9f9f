"""The recipes, followed: each diff fits today's code, and the result works."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import recipe_bench
from tests.docs.pages import DOCS
from tests.docs.public import names_of_roost, public_names
from tests.docs.recipe_bench import NAMES, Recipe

#: The tests that every change has to pass, wherever it is: imports, sizes, documentation.
CHECKS = (
    "tests/packaging/test_imports.py",
    "tests/packaging/test_lazy_imports.py",
    "tests/packaging/test_rooms.py",
    "tests/packaging/test_sizes.py",
    "tests/docs/test_complete.py",
    "tests/docs/test_map.py",
    "tests/docs/test_public.py",
)
#: These start a process for each module, or look at pages that no recipe changes.
LEFT_OUT = "not every_module_imports_alone and not links_lead_somewhere"


@pytest.fixture(scope="module", params=NAMES)
def followed(request: pytest.FixtureRequest, server_root: Path) -> Iterator[tuple[Recipe, Path]]:
    """Give each recipe, and a copy of the source tree with its diffs."""
    recipe = Recipe.of(request.param)
    folder = server_root / request.param
    folder.mkdir()
    try:
        recipe_bench.copy_of_the_tree(folder)
        recipe_bench.apply(recipe, folder)
        yield recipe, folder
    finally:
        shutil.rmtree(folder)


def test_what_is_made_works(followed):
    """The page's commands run, and print what it shows."""
    recipe, folder = followed
    assert recipe.diffs
    assert recipe.checks
    for check in recipe.checks:
        recipe_bench.follow(check, folder)


def test_the_change_is_clean(followed):
    """What it touches is linted and formatted; the tests of a package need no docstrings."""
    pytest.importorskip("ruff", reason="ruff is not installed: it comes with the extra lint")
    recipe, folder = followed
    files = [path for path in recipe.changed if path.endswith(".py")]
    ignored = ("--extend-ignore", "D") if recipe.is_package else ()
    recipe_bench.run(folder, "ruff", "check", "--no-cache", *ignored, *files)
    recipe_bench.run(folder, "ruff", "format", "--no-cache", "--check", *files)


def test_a_package_uses_public_names_only(followed):
    """What people build on does not move; its tests have the contract's names, too."""
    recipe, folder = followed
    own = [folder / path for path in recipe.changed if recipe.is_package and path.endswith(".py")]
    used = {name for path in own for name in names_of_roost(path)}
    contract = {f"roost_core.testing.contract.{name}" for name in ("BackendContract", "Harness")}
    assert set() == used - public_names() - contract


def test_all_together_pass_what_every_change_meets(folder):
    """No recipe leaves anything out that the tests of imports, sizes or documentation ask for."""
    recipe_bench.copy_of_the_tree(folder)
    for name in NAMES:
        recipe = Recipe.of(name)
        if not recipe.is_package:
            recipe_bench.apply(recipe, folder)
    recipe_bench.run(folder, "pytest", "-q", "-p", "no:cacheprovider", "-k", LEFT_OUT, *CHECKS)


STALE = """\
--- a/a.py
+++ b/a.py
@@ -1,2 +1,3 @@
 one
+and a half
 two
"""


@pytest.mark.parametrize(("text", "times"), [("one\n2\n", 0), ("one\ntwo\n" * 2, 2)])
def test_a_hunk_that_does_not_fit_any_more_is_shown(tmp_path, text, times):
    """Not only when its lines have changed, but also when git could take others for them."""
    (tmp_path / "a.py").write_text(text)
    with pytest.raises(AssertionError, match=rf"stale.md: a.py has this {times} times:\n@@ -1,2"):
        recipe_bench.apply(Recipe("stale", (STALE,), ()), tmp_path)
    assert text == (tmp_path / "a.py").read_text()


def test_index_has_each_recipe():
    """The page of recipes leads to each, and the contents have each."""
    index = (DOCS / "recipes/index.md").read_text(encoding="utf-8")
    contents = index.partition("```{toctree}")[2].partition("```")[0]
    assert NAMES == sorted(one for one in contents.split() if one.startswith("add-"))
    assert [] == [name for name in NAMES if f"]({name}.md)" not in index]
