"""What a plugin's name means, and how it becomes an object."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.errors import PluginLoadError
from roost_core.plugins import sources as plugin_sources
from roost_core.plugins.sources import Candidate, Source

if TYPE_CHECKING:  # pytest imports it first, to explain its assertions
    from tests.unit.plugins.plugin_samples.fixtures import Install, Write

pytest_plugins = ["tests.unit.plugins.plugin_samples.fixtures"]


def load(text: str) -> object:
    """Load what a text names, with nothing installed."""
    return plugin_sources.load(plugin_sources.named(text, Source.OPTION, []))


def refused(text: str) -> str:
    """Return the error of a text that cannot be loaded; it is one line and names the plugin."""
    with pytest.raises(PluginLoadError) as raised:
        load(text)
    message = str(raised.value)
    assert message.isprintable()
    assert message.startswith("cannot load plugin ")
    assert f"(--plugin {text})" in message
    return message


# -- modules -----------------------------------------------------------------------------------


def test_a_module_is_itself(write_module: Write) -> None:
    """``pkg.module`` is imported as Python does it."""
    write_module("acme_pkg/__init__.py")
    write_module("acme_pkg/agent.py", "name = 'agent'")
    assert sys.modules.get("acme_pkg.agent") is None
    found = load("acme_pkg.agent")
    assert sys.modules["acme_pkg.agent"] is found


def test_an_attribute_may_be_an_object_or_a_class(write_module: Write) -> None:
    """``pkg.module:attr`` is an object; a class is instantiated without arguments."""
    write_module("acme_attr.py", "class Agent:\n    inner = 3\nagent = Agent()")
    module = sys.modules
    assert load("acme_attr:agent") is module["acme_attr"].agent
    made = load("acme_attr:Agent")
    assert isinstance(made, module["acme_attr"].Agent)
    assert 3 == load("acme_attr:Agent.inner")


def test_a_function_is_not_called(write_module: Write) -> None:
    """A function is no plugin, and Roost does not guess that it is a factory."""
    write_module("acme_factory.py", "def build():\n    raise AssertionError('called')")
    assert "it is a function, not a plugin" in refused("acme_factory:build")


def test_a_missing_module_is_told_from_a_missing_need(write_module: Write) -> None:
    """The two reasons for a ModuleNotFoundError read differently."""
    path = write_module("acme_needy.py", "import acme_absent")
    message = refused("acme_needy")
    assert message.endswith(f": ModuleNotFoundError: No module named 'acme_absent' ({path}:1)")
    assert "is neither an installed plugin nor importable" in refused("acme_absent")
    assert "is neither an installed plugin nor importable" in refused("acme_needy_not.sub")
    write_module("acme_flat.py")
    assert "'acme_flat' is not a package" in refused("acme_flat.sub")


@pytest.mark.parametrize("text", ["a-b", "a b", ".relative", "a..b", "a:", "a:b-c", "3a", "-x"])
def test_what_cannot_be_imported_is_said_so(text: str) -> None:
    """A text that is not a name gets one line, not a traceback."""
    assert "nor a name that can be imported" in refused(text)


def test_a_misspelt_entry_point_gets_a_hint() -> None:
    """The closest installed name is offered."""
    entries = [Candidate("watchlist", Source.INSTALLED, "watchlist", "roost_plugins.watchlist")]
    for text in ("watchlists", "watch-list"):
        with pytest.raises(PluginLoadError, match=r"did you mean watchlist\?"):
            plugin_sources.load(plugin_sources.named(text, Source.OPTION, entries))


def test_a_file_in_the_current_folder_is_offered_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder is not searched unasked; the hint says how to ask."""
    (tmp_path / "acme_here.py").write_text("raise AssertionError('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    assert refused("acme_here").endswith("did you mean ./acme_here.py?")


def test_a_missing_attribute_is_named(write_module: Write) -> None:
    """A wrong ``:attr`` says which one is missing."""
    write_module("acme_empty.py")
    assert "AttributeError: module 'acme_empty' has no attribute 'nope'" in refused(
        "acme_empty:nope"
    )


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("raise ValueError('line one\\n   line two')", "ValueError: line one line two"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import sys; sys.exit()", "SystemExit"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class Odd(BaseException): pass\nraise Odd('odd')", "Odd: odd"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("raise ValueError('x' * 5000)", "ValueError: " + "x" * 300 + "…"),
    ],
)
@pytest.mark.parametrize("kind", ["module", "file"])
def test_whatever_an_import_raises_is_a_load_error(
    write_module: Write, body: str, shown: str, kind: str
) -> None:
    """An exit at import does not end the process; type and text of the cause are shown."""
    path = write_module("acme_bad.py", body)
    before = set(sys.modules)
    message = refused("acme_bad" if kind == "module" else str(path))
    assert shown in message
    # Where a file does not compile is said once.
    assert ", line 1" not in message
    assert before == set(sys.modules)


def test_ctrl_c_during_an_import_is_ctrl_c(write_module: Write) -> None:
    """A KeyboardInterrupt that a signal has caused comes from the user, not from the plugin."""
    write_module("acme_interrupted.py", "import signal\nsignal.raise_signal(signal.SIGINT)")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        load("acme_interrupted")
    assert before is signal.getsignal(signal.SIGINT)


def test_a_plugin_that_raises_keyboard_interrupt_is_broken(write_module: Write) -> None:
    """Nobody pressed Ctrl-C: it is an error like any other, in whatever thread it is loaded."""
    path = write_module("acme_quits.py", "raise KeyboardInterrupt")
    assert refused("acme_quits").endswith(f": KeyboardInterrupt ({path}:1)")
    with ThreadPoolExecutor(1) as threads:
        assert "KeyboardInterrupt" in threads.submit(refused, "acme_quits").result()


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("x = 1\nimport json\njson.loads('{')", 3),
        ("def inner():\n    raise ValueError('x')\ninner()", 2),
        ("def inner():\n    return None.x\n\nclass Agent:\n    y = inner()", 2),
        ("x = 1\ndef broken(:", 2),
        ("\n\nimport acme_syntax_x", 3),
        ("import ast\nast.literal_eval('1 +')", 2),
        ("raise SystemExit(3)", 1),
    ],
)
@pytest.mark.parametrize("kind", ["module", "file"])
def test_an_import_error_names_the_plugins_own_line(
    write_module: Write, body: str, line: int, kind: str
) -> None:
    """File and line of the plugin's own frame: not Roost's, importlib's or a library's."""
    path = write_module("acme_pkg_bad/agent.py", body)
    write_module("acme_pkg_bad/__init__.py")
    message = refused("acme_pkg_bad.agent" if kind == "module" else str(path))
    assert message.endswith(f" ({path}:{line})")


def test_a_syntax_error_further_in_names_that_file(write_module: Write) -> None:
    """The file that does not compile is the one to look at, whoever imported it."""
    path = write_module("acme_lib.py", "ok = 1\nif:")
    write_module("acme_user.py", "import acme_lib")
    assert refused("acme_user").endswith(f" ({path}:2)")


def test_a_factorys_error_names_its_line(
    write_module: Write, install_distribution: Install
) -> None:
    """The same holds for entry points and for what a factory raises when it is called."""
    install_distribution("acme", "[roost.engines]\nmade = acme_made:build\n[roost]\nhook = acme_h")
    made = write_module("acme_made.py", "def build():\n    x = 1\n    raise ValueError('no')")
    hook = write_module("acme_h.py", "import os\nos.stat('/nowhere/at/all')")
    texts = []
    for entry in plugin_sources.installed():
        with pytest.raises(PluginLoadError) as raised:
            plugin_sources.load(entry)
        texts.append(str(raised.value))
    assert texts[0].endswith(f" ({hook}:2)")
    assert texts[1].endswith(f" ({made}:3)")


def test_the_cause_is_chained(write_module: Write) -> None:
    """The original error and its traceback are there for whoever wants them."""
    write_module("acme_chained.py", "raise ValueError('bad')")
    with pytest.raises(PluginLoadError) as raised:
        load("acme_chained")
    assert isinstance(raised.value.__cause__, ValueError)


def test_an_exit_in_a_constructor_is_a_load_error(write_module: Write) -> None:
    """Instantiating a class is part of loading."""
    write_module(
        "acme_ctor.py", "class Agent:\n    def __init__(self):\n        raise SystemExit('no')"
    )
    assert "SystemExit: no" in refused("acme_ctor:Agent")
    write_module("acme_args.py", "class Agent:\n    def __init__(self, needed): pass")
    assert "TypeError" in refused("acme_args:Agent")


# -- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["absolute", "./relative", "relative", "nested", "~"])
def test_a_file_is_imported_from_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A path may be absolute, relative to the current folder or to the home folder."""
    path = tmp_path / "folder" / "my_agent.py"
    path.parent.mkdir()
    path.write_text("here = __file__")
    monkeypatch.chdir(tmp_path if form == "nested" else path.parent)
    monkeypatch.setenv("HOME", str(path.parent))
    text = {
        "absolute": str(path),
        "./relative": "./my_agent.py",
        "relative": "my_agent.py",
        "nested": "folder/my_agent.py",
        "~": "~/my_agent.py",
    }[form]
    candidate = plugin_sources.named(text, Source.OPTION, [])
    assert ("my_agent", str(path)) == (candidate.name, candidate.location)
    assert str(path) == plugin_sources.load(candidate).here


def test_a_file_stands_alone(tmp_path: Path) -> None:
    """Its folder stays off the import path, nothing is written beside it, and no name is hidden."""
    path = tmp_path / "json.py"
    path.write_text("import sys\nseen = list(sys.path)")
    import json

    module = load(str(path))
    assert str(tmp_path) not in module.seen
    assert sys.modules["json"] is json
    assert [path] == list(tmp_path.iterdir())
    del sys.modules[module.__name__]


def test_a_sibling_import_says_what_to_do(tmp_path: Path) -> None:
    """A file that needs the one alongside it is told to become a package."""
    (tmp_path / "acme_tools.py").touch()
    path = tmp_path / "acme_main.py"
    path.write_text("import acme_tools")
    message = refused(str(path))
    assert "No module named 'acme_tools': it is next to the file" in message


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    """The module name depends on the whole path, and typing and attrs find the module by it."""
    names = set()
    for folder in ("a", "b"):
        path = tmp_path / folder / "same-name.py"
        path.parent.mkdir()
        path.write_text("import attrs\n@attrs.define\nclass Thing:\n    number: 'int' = 0\n")
        module = load(str(path))
        names.add(module.__name__)
        assert sys.modules[module.__name__] is module
    assert 2 == len(names)
    assert all(name.startswith("roost_plugin_same_name_") for name in names)
    for name in names:
        del sys.modules[name]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """No cached code: the same size and time stamp do not hide an edit."""
    path = tmp_path / "edited.py"
    found = []
    for number in (1, 2):
        path.write_text(f"number = {number}")
        os.utime(path, (1, 1))
        module = load(str(path))
        found.append(module.number)
    assert [1, 2] == found
    del sys.modules[module.__name__]


def test_a_path_to_nothing_or_to_a_folder(tmp_path: Path) -> None:
    """One line each that says what is wrong."""
    assert f"there is no file {tmp_path}/none.py" in refused(f"{tmp_path}/none.py")
    (tmp_path / "folder").mkdir()
    assert "is a folder" in refused(f"{tmp_path}/folder")


# -- blocks and odd texts ----------------------------------------------------------------------


def test_blocks_are_told_from_names() -> None:
    """``no:NAME`` is a block; everything else is a name."""
    assert "watchlist" == plugin_sources.blocked_name("no:watchlist")
    assert plugin_sources.blocked_name("nothing") is None
    with pytest.raises(PluginLoadError, match="needs its name"):
        plugin_sources.blocked_name("no: ")


@given(text=st.text())
def test_any_text_means_something_or_is_refused(text: str) -> None:
    """Nothing is imported or looked up before load(), and nothing but a load error comes out."""
    before = set(sys.modules)
    try:
        candidate = plugin_sources.named(text, Source.OPTION, [])
        assert candidate.name
        assert candidate.location
    except PluginLoadError as error:
        assert not text.strip()
        assert "is empty" in str(error)  # noqa: PT017 - either branch is right
    assert before == set(sys.modules)


@given(text=st.text(max_size=400), kind=st.sampled_from([ValueError, KeyError, SystemExit]))
def test_a_cause_is_one_line(text: str, kind: type[Exception]) -> None:
    """However an error's text looks, its line starts with the type."""
    line = plugin_sources.cause(kind(text))
    assert line.startswith(kind.__name__)
    assert 1 == len(line.splitlines())


# -- what is installed -------------------------------------------------------------------------


def test_installed_plugins_come_sorted(install_distribution: Install) -> None:
    """Both groups, plugins first, each by name and not in the listing's order."""
    install_distribution(
        "acme-b", "[roost]\nzeta = z\nbeta = b\n[roost.engines]\nalpha = a:build\n"
    )
    install_distribution("acme-a", "[roost]\ngamma = g\n[other]\nnot = ours\n", version="2.1")
    found = [
        (one.name, one.location, one.distribution, one.version, one.is_factory)
        for one in plugin_sources.installed()
    ]
    assert [
        ("beta", "b", "acme-b", "1.0", False),
        ("gamma", "g", "acme-a", "2.1", False),
        ("zeta", "z", "acme-b", "1.0", False),
        ("alpha", "a:build", "acme-b", "1.0", True),
    ] == found


def test_t5_unreadable_entry_points_are_attributed(install_distribution: Install) -> None:
    """T5: a malformed file of one distribution hides no other, and is reported if it is ours."""
    install_distribution("acme-good", "[roost]\ngood = g\n")
    install_distribution("acme-bad", "[roost]\nthis line is not an entry point\n")
    install_distribution("acme-foreign", "[console_scripts]\nthis neither\n")
    found = plugin_sources.installed()
    assert ["good", "acme-bad"] == [one.name for one in found]
    with pytest.raises(PluginLoadError, match=r"cannot load plugin acme-bad \(installed by acme-b"):
        plugin_sources.load(found[1])


def test_an_older_copy_down_the_path_is_not_seen(
    install_distribution: Install,
    write_module: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first distribution of a name on the path is the one that counts."""
    install_distribution("acme-copy", "[roost]\nnewer = n\n", version="2.0")
    older = tmp_path / "older" / "acme_copy-1.0.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Name: Acme.Copy\nVersion: 1.0\n")
    (older / "entry_points.txt").write_text("[roost]\nolder = o\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(older.parent)])
    assert ["newer"] == [one.name for one in plugin_sources.installed()]
    write_module("acme_bad-1.0.dist-info/METADATA", "Name: acme-bad\nVersion: 1.0\n")
    write_module("acme_bad-1.0.dist-info/entry_points.txt", "[x]\nnonsense\n")
    assert ["newer"] == [one.name for one in plugin_sources.installed()]


def test_a_newer_copy_without_plugins_hides_the_older_ones(
    install_distribution: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the older copy offered is gone, though the newer one has no plugin at all."""
    install_distribution("acme-copy", "[console_scripts]\nacme = acme:main\n", version="2.0")
    older = tmp_path / "older" / "acme_copy-1.0.dist-info"
    older.mkdir(parents=True)
    (older / "METADATA").write_text("Name: acme_copy\nVersion: 1.0\n")
    (older / "entry_points.txt").write_text("[roost]\nolder = o\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(older.parent)])
    assert [] == list(plugin_sources.installed())


def test_metadata_without_a_name(install_distribution: Install, write_module: Write) -> None:
    """However it was damaged, what is alongside it is loaded."""
    install_distribution("acme-good", "[roost]\ngood = g\n")
    for name in ("acme_odd", "acme_none"):
        write_module(f"{name}-1.0.dist-info/entry_points.txt", f"[roost]\n{name} = o\n")
    write_module("acme_odd-1.0.dist-info/METADATA", "nonsense\n")
    found = plugin_sources.installed()
    assert ["acme_none", "acme_odd", "good"] == [one.name for one in found]


def test_an_entry_point_is_named_and_loaded(
    install_distribution: Install, write_module: Write
) -> None:
    """A name that is installed means the entry point, with its distribution."""
    install_distribution("acme", "[roost]\nmine = acme_entry:agent\n")
    write_module("acme_entry.py", "class Agent: pass\nagent = Agent()")
    candidate = plugin_sources.named("mine", Source.OPTION, plugin_sources.installed())
    assert ("acme", "1.0", Source.OPTION) == (
        candidate.distribution,
        candidate.version,
        candidate.source,
    )
    assert "Agent" == type(plugin_sources.load(candidate)).__name__


@pytest.mark.parametrize(
    ("factory", "shown"),
    [
        ("build = 3", "must be a factory, not int"),
        ("def build(**kwargs): return None", "returned None, not an engine"),
        ("def build(**kwargs): return int", "not an engine"),
        ("async def build(**kwargs): return 1", "its factory is async"),
        ("def build(**kwargs): raise SystemExit", "SystemExit"),
        ("def build(needed): pass", "TypeError"),
    ],
)
def test_a_factory_that_makes_no_engine(
    install_distribution: Install, write_module: Write, factory: str, shown: str
) -> None:
    """Each failure names entry point and distribution."""
    install_distribution("acme", "[roost.engines]\nmine = acme_build:build\n")
    write_module("acme_build.py", factory)
    (candidate,) = plugin_sources.installed()
    with pytest.raises(PluginLoadError, match=shown) as raised:
        plugin_sources.load(candidate)
    assert "plugin mine (installed by acme 1.0)" in str(raised.value)
