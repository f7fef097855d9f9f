"""What commands print on a terminal, as a drawing: colours of a light or of a dark one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text
from scene import COLUMNS

#: The fonts of whoever looks at it: a picture fetches nothing.
_FONTS: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"
_FORMAT: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: FONTS;
        font-size: {char_height}px;
        line-height: {line_height}px;
    }}
    {styles}
    </style>
    <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
    </defs>
    {chrome}
    <g transform="translate({terminal_x}, {terminal_y})"
       clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
</svg>
""".replace("FONTS", _FONTS)
#: Background, text, and the eight colours that a terminal names.
THEMES: Final = {
    "light": TerminalTheme(
        (250, 250, 249),
        (28, 28, 30),
        [
            *((28, 28, 30), (190, 30, 36), (24, 121, 62), (146, 92, 0)),
            *((24, 98, 190), (140, 50, 170), (0, 116, 128), (100, 100, 104)),
        ],
    ),
    "dark": TerminalTheme(
        (24, 25, 27),
        (230, 231, 233),
        [
            *((60, 62, 66), (255, 122, 118), (98, 206, 136), (232, 184, 76)),
            *((118, 178, 255), (214, 148, 240), (92, 206, 214), (230, 231, 233)),
        ],
    ),
}


def draw(shown: Sequence[tuple[str, str]], theme: str, path: Path) -> None:
    """Write a drawing of commands and what each printed.

    :param theme: ``light`` or ``dark``.
    """
    console = Console(
        file=StringIO(), width=COLUMNS, record=True, force_terminal=True, color_system="truecolor"
    )
    for place, (command, printed) in enumerate(shown):
        if place:
            console.print()
        console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
        console.print(Text.from_ansi(printed), soft_wrap=True)
    drawn = console.export_svg(
        title="", theme=THEMES[theme], code_format=_FORMAT, unique_id="roost", font_aspect_ratio=0.6
    )
    # What stands at the end of a line is blank.
    path.write_text(re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE), encoding="utf-8")
