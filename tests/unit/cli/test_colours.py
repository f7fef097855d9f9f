"""Colours: they can be read on a dark ground and on a white one, and there are no others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from rich.color import ANSI_COLOR_NAMES, Color, ColorSystem
from rich.style import Style

import roost_core
from roost_core.cli import colours
from roost_plugins.watchlist import demo

CLI = Path(roost_core.__file__).parent / "cli"
ALL = {name: value for name, value in vars(colours).items() if name.isupper()}


def luminance(color):
    """Return the relative luminance of a colour, as WCAG 2 has it."""
    parts = [part / 255 for part in color.get_truecolor()]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("style", [*ALL.values(), f"color({demo._KEPT})", f"color({demo._BROKEN})"])
def test_each_is_seen_on_black_and_on_white(style):
    """The contrast is at least 3.8 to 1 with both: yellow on white would have 1.1."""
    color = Style.parse(style).color
    assert color is not None
    bright = luminance(color)
    assert min((1 + 0.05) / (bright + 0.05), (bright + 0.05) / 0.05) >= 3.8


@pytest.mark.parametrize("style", ALL.values())
def test_none_becomes_black_or_white_where_there_are_sixteen(style):
    """There, the ground may be either."""
    color = Style.parse(style).color
    assert color is not None
    assert color.downgrade(ColorSystem.STANDARD).number not in {0, 7, 8, 15}


def test_no_other_colours_are_named():
    """A style in the command line's code has no colour by its name."""
    names = {name for name in ANSI_COLOR_NAMES if not name.startswith("grey")}
    found = [
        (path.name, node.value)
        for path in CLI.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if set(node.value.split()) & names and len(node.value.split()) <= 3
    ]
    assert [] == found


def test_colour_names_are_known():
    """The test above looks for something."""
    assert Color.parse("yellow").number == 3
