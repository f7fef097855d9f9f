"""Take the console's third-party files from npm tarballs into its folder ``static/vendor``.

Get the tarballs with npm's own client, then name them all; nothing here uses the network::

    npm pack htmx.org@4 tinykeys@3 @radix-ui/colors@3 lucide-static@1
    python scripts/vendor_console.py *.tgz

The folder is made anew: each package's licence, the files that the console uses, as they are or
made from the package's files (the colours of both themes in one file, the icons in one sprite),
and ``files.json``, which says for each file its package, version, licence and SHA-256. A test
compares the folder with it. Then run the tests in the browser, and look at the kit's page.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

VENDOR: Final = Path(__file__).resolve().parent.parent / "roost_plugins/console/static/vendor"
#: The scales that tokens.css builds on. Each is in the file for light and for dark.
SCALES: Final = ("sand", "iris", "blue", "grass", "amber", "red", "plum")
#: Lucide's names of the icons that templates use.
ICONS: Final = (
    "activity arrow-down arrow-right arrow-up ban bird calendar-clock check chevron-down "
    "chevron-left chevron-right circle-alert circle-check circle-dashed circle-help circle-x "
    "clock copy cpu download ellipsis eye file-text flame gauge git-branch hand hourglass inbox "
    "info keyboard layers list lock log-in menu monitor moon package pause play plug rotate-ccw "
    "rotate-cw search server shield skull stethoscope sun terminal trash-2 triangle-alert "
    "unplug user users x zap"
)

Package = dict[str, bytes]


def read(tarball: Path) -> tuple[dict[str, Any], Package]:
    """Return a tarball's ``package.json`` and its files, by path within the package."""
    files: Package = {}
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            found = archive.extractfile(member) if member.isfile() else None
            if found is not None:
                files[member.name.partition("/")[2]] = found.read()
    return json.loads(files["package.json"]), files


def without_map(text: bytes) -> bytes:
    """Return a script without the comment that makes browsers ask for its source map."""
    return re.sub(rb"\n?//# sourceMappingURL=\S+\s*$", b"", text).rstrip() + b"\n"


def htmx(files: Package) -> Iterator[tuple[str, bytes, list[str]]]:
    """Yield the library, minified."""
    source = "dist/htmx.min.js"
    yield "htmx.js", without_map(files[source]), [source]


def tinykeys(files: Package) -> Iterator[tuple[str, bytes, list[str]]]:
    """Yield the library as a module."""
    source = "dist/tinykeys.module.js"
    yield "tinykeys.js", without_map(files[source]), [source]


def radix(files: Package) -> Iterator[tuple[str, bytes, list[str]]]:
    """Yield the scales as one sheet: each step once, for both themes."""
    sources: list[str] = []
    rules: list[str] = []
    for scale in SCALES:
        light, dark = f"{scale}.css", f"{scale}-dark.css"
        sources += [light, dark]
        steps = [
            re.findall(r"^ {2}(--[a-z]+-\d+): (#[0-9a-f]+);", files[name].decode(), re.MULTILINE)
            for name in (light, dark)
        ]
        if [len(found) for found in steps] != [12, 12]:
            raise SystemExit(f"{scale}: 12 steps of each theme were expected in {light}, {dark}")
        for (name, day), (_same, night) in zip(*steps, strict=True):
            rules.append(f"  {name}: light-dark({day}, {night});")
    text = "/* Radix Colors, MIT licence: made by scripts/vendor_console.py. */\n:root {\n"
    yield "colors.css", (text + "\n".join(rules) + "\n}\n").encode(), sources


def lucide(files: Package) -> Iterator[tuple[str, bytes, list[str]]]:
    """Yield the icons as symbols of one file."""
    sources = [f"icons/{name}.svg" for name in ICONS.split()]
    symbols = []
    for name, source in zip(ICONS.split(), sources, strict=True):
        if source not in files:
            raise SystemExit(f"lucide-static has no icon {name!r} any more")
        body = re.search(r"<svg[^>]*>(.*)</svg>", files[source].decode(), re.DOTALL)
        assert body is not None
        shapes = re.sub(r"\s+", " ", body[1]).replace("> <", "><").strip()
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
            f'stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{shapes}</symbol>'
        )
    text = "<!-- Lucide, ISC licence: made by scripts/vendor_console.py. -->\n"
    sprite = f'<svg xmlns="http://www.w3.org/2000/svg">\n{text}' + "\n".join(symbols) + "\n</svg>\n"
    yield "icons.svg", sprite.encode(), sources


MAKERS: Final[
    dict[str, tuple[str, Callable[[Package], Iterator[tuple[str, bytes, list[str]]]]]]
] = {
    "htmx.org": ("htmx", htmx),
    "tinykeys": ("tinykeys", tinykeys),
    "@radix-ui/colors": ("radix_colors", radix),
    "lucide-static": ("lucide", lucide),
}


def main(tarballs: list[str]) -> None:
    """Write the folder from the tarballs, all of which have to be there."""
    packages = {about["name"]: (about, files) for about, files in map(read, map(Path, tarballs))}
    if set(packages) != set(MAKERS):
        raise SystemExit(f"one tarball of each is needed: {', '.join(MAKERS)}")
    listed: list[dict[str, Any]] = []
    wanted: set[Path] = {VENDOR / "files.json"}
    for name, (folder, make) in MAKERS.items():
        about, files = packages[name]
        licence = VENDOR / folder / "LICENSE.txt"
        outputs = [(licence.name, files["LICENSE"], ["LICENSE"]), *make(files)]
        for output, content, sources in outputs:
            path = VENDOR / folder / output
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            wanted.add(path)
            listed.append(
                {
                    "file": path.relative_to(VENDOR).as_posix(),
                    "package": name,
                    "version": about["version"],
                    "licence": about["license"],
                    "made_from": sources,
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
            )
    for path in VENDOR.rglob("*"):
        if path.is_file() and path not in wanted:
            path.unlink()
    (VENDOR / "files.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
