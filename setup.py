"""Make the description that a package index shows; ``setup.cfg`` has all else.

It is the README without what works only beside the repository: an index resolves no relative
address, so it would show broken pictures and links that lead nowhere.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from setuptools import setup

#: A picture in two themes, and what parts it from the next paragraph.
_PICTURE: Final = re.compile(r"<picture>.*?</picture>\n+", re.DOTALL)
#: A link or picture of Markdown whose target is a path.
_RELATIVE: Final = re.compile(r"!?\[([^\]]*)\]\((?![a-z]+:|#)[^)]*\)")


def description(readme: str) -> str:
    """Return a README as an index can show it: links to files are their words alone."""
    return _RELATIVE.sub(r"\1", _PICTURE.sub("", readme))


if __name__ == "__main__":
    text = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    setup(long_description=description(text), long_description_content_type="text/markdown")
