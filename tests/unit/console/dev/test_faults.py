"""Where the mistake is: file, line and the code around it."""

from __future__ import annotations

import pytest

from roost_core.errors import PluginError
from roost_core.plugins.registry import Plugins
from roost_plugins.console.dev import faults


def broken(path, text):
    """Load a file that cannot be loaded; return the error."""
    path.write_text(text)
    with pytest.raises(PluginError) as caught:
        Plugins.load(explicit=[str(path)], installed=False, strict=True)
    return caught.value


def block(path, text):
    """Return the lines about a broken file, in its own folder."""
    own = str(path.parent)
    return faults.block(broken(path, text), lambda one: one.startswith(own))


HEAD = "from roost_core import hookimpl\n\nengine_id = 'x'\n\n"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (HEAD + "@hookimpl\ndef step(snapshot)\n    return snapshot\n", 6, "SyntaxError: expected"),
        (HEAD + "  x = 1\n", 5, "IndentationError: unexpected indent"),
        (HEAD + "import nothing_of_that_name\n", 5, "ModuleNotFoundError: No module named"),
        (HEAD + "from json import nothing\n", 5, "ImportError: cannot import name 'nothing'"),
        (HEAD + "limit = 1 / 0\n", 5, "ZeroDivisionError: division by zero"),
        (
            HEAD + "@hookimpl\ndef stepp(snapshot):\n    pass\n",
            5,
            "unknown hook stepp; did you mean",
        ),
        (HEAD + "@hookimpl\ndef step(snapshot, itm):\n    pass\n", 5, "step: unknown argument itm"),
        (HEAD + "raise SystemExit(3)\n", 5, "SystemExit: 3"),
    ],
)
def test_file_and_line_come_first(tmp_path, monkeypatch, text, line, what):
    """Whatever is wrong; the line itself is marked below."""
    monkeypatch.chdir(tmp_path)
    first, *code = block(tmp_path / "agent.py", text)
    assert first.startswith(f"agent.py:{line}: {what}")
    (marked,) = [one for one in code if one.startswith(">")]
    assert f"> {line} | {text.splitlines()[line - 1]}".rstrip() == marked


def test_the_innermost_own_line_counts(tmp_path, monkeypatch):
    """Not the one that imports what is wrong, nor that of a library which complains."""
    (tmp_path / "pack_of_faults").mkdir()
    (tmp_path / "pack_of_faults/__init__.py").write_text("import json\n\njson.loads('{')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    first, *_ = block(tmp_path / "agent.py", HEAD + "import pack_of_faults\n")
    assert first.startswith("pack_of_faults/__init__.py:3: JSONDecodeError")


def test_advice_is_kept(tmp_path, monkeypatch):
    """Where Roost knows what to do, that is what is said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools_beside.py").write_text("")
    first, *_ = block(tmp_path / "agent.py", HEAD + "import tools_beside\n")
    assert "agent.py:5:" in first
    assert "make them a package" in first


def test_no_line_is_to_blame(tmp_path):
    """Then the whole text stands alone, on one line."""
    (line,) = block(tmp_path / "agent.py", "x = 1\n")
    assert "it implements no hook" in line


def test_long_lines_and_controls_are_tame(tmp_path):
    """The block fits, and the terminal obeys nothing that stands in the code."""
    text = HEAD + f"x = 1 / 0  # \x1b[31m{'long ' * 50}\n"
    _, *code = block(tmp_path / "agent.py", text)
    assert max(map(len, code)) < 80
    assert "\x1b" not in "".join(code)


def test_missing_modules_are_named(tmp_path):
    """So that the worker comes back when they are there."""
    error = broken(tmp_path / "agent.py", "import nothing_of_that_name.at_all\n")
    assert ["nothing_of_that_name"] == faults.missing(error)
