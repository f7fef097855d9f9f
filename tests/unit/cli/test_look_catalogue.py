"""``roost plugins`` and ``roost doctor`` on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from roost_core.cli import output
from roost_core.cli.look.catalogue import show

ROW = {
    "plugin": "watchlist",
    "status": "ok",
    "source": "installed",
    "distribution": "roost-runtime 0.1.0",
    "hooks": ["init_snapshot", "register_commands", "register_settings", "step"],
    "location": "roost_plugins.watchlist",
    "error": None,
}


def test_each_plugin_is_one_line():
    """Names of hooks are cut or left out, not broken; an error is there in full."""
    error = "cannot load it: " + "ImportError: no such module, " * 5
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    show(console, [ROW, {**ROW, "plugin": "mine", "status": "broken", "error": error}])
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert ["plugin", "status", "source"] == lines[0].split()[:3]
    assert lines[1].startswith("watchlist  ok      installed  roost-runtime 0.1.0")
    assert lines[2].startswith("mine       broken  installed")
    assert ["", f"mine: {error.rstrip()}"] == lines[3:]
    assert max(map(len, lines[:3])) <= 80


def test_levels_have_colours(capsys, monkeypatch):
    """Only on a terminal, and only whole cells."""
    styles = {"problem": "bold red"}
    rows = [("problem", "a problem")]
    output.table(["level", "finding"], rows, styles=styles)
    assert "problem\ta problem\n" == capsys.readouterr().out
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output.table(["level", "finding"], rows, styles=styles)
    out = capsys.readouterr().out
    assert "\x1b[1;31mproblem" in out
    assert "31ma problem" not in out
