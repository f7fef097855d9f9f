"""Take pictures of the console and of the command line, on a scene of their own.

``python scripts/screenshots.py FOLDER`` takes every page of the console, light and dark, wide and
narrow: look at them before a change of looks. ``python scripts/screenshots.py --docs`` makes the
pictures that the documentation shows, in ``docs/pictures``, again.

Debian's Chromium visits the pages that the navigation names, and a work item of each kind. It needs
``chromium``, ``playwright`` (of the extra ``testing``), and for the documentation ``pillow``, which
makes the files small. Nothing is left behind, except the pictures.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import terminal
from playwright.sync_api import Browser, Page, sync_playwright
from scene import Scene, playing

#: Widths and heights of the window, by name.
SIZES: Final = {"wide": (1280, 800), "narrow": (390, 844)}
ITEMS: Final = ("scout-01", "nightly-2026-11-26", "compare-1", "host-2", "crawl-1")
DOCS: Final = Path(__file__).resolve().parents[1] / "docs" / "pictures"
#: The pictures of pages in the documentation: name, path, height of the window, themes.
PAGES: Final = (
    ("overview", "/", 900, ("light", "dark")),
    ("work", "/work", 720, ("light",)),
    ("item", "/work/nightly-2026-11-26", 960, ("light",)),
    ("history", "/work/nightly-2026-11-26/history", 640, ("light",)),
    ("diff", "/work/nightly-2026-11-26/diff?from=3&to=5", 720, ("light",)),
    ("replay", "/work/nightly-2026-11-26/replay?from=3", 1100, ("light",)),
    ("dead-letters", "/failed", 480, ("light",)),
    ("preview", "/act/retry?q=state:failed", 720, ("light",)),
    ("events", "/events", 640, ("light",)),
    ("workers", "/workers", 640, ("light",)),
    ("doctor", "/doctor/run", 800, ("light",)),
)
#: What is typed for a picture, and then looked at: name, field, text.
TYPED: Final = (
    ("replay", "lines", "goal=Survey of 300 pages, without the archive\n/is_sure=true"),
)
#: The pictures of the command line: name, what is typed, themes.
COMMANDS: Final = (
    ("list", ("list -state:done,queued --limit 7", "why crawl-1"), ("light", "dark")),
    ("status", ("status nightly-2026-11-26",), ("light",)),
)
#: How many of a picture's colours are kept as they are.
FREQUENT: Final = 96


@contextmanager
def window(browser: Browser, theme: str, width: int, height: int) -> Iterator[Page]:
    """Open a window in one theme."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="light" if theme == "light" else "dark",
        device_scale_factor=2,
    )
    yield context.new_page()
    context.close()


def visit(browser: Browser, url: str, folder: Path) -> None:
    """Take a picture of every page, in every theme and size."""
    for theme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            with window(browser, theme, width, height) as page:
                page.goto(url)
                places = {
                    link.get_attribute("href") or "": (link.text_content() or "").strip().lower()
                    for link in page.locator("#side [data-go]").all()
                }
                places |= {f"/work/{one}": f"item {one}" for one in ITEMS}
                # What a reader has to ask for.
                places |= {"/doctor/run": "doctor", "/act/retry?q=state:failed": "preview"}
                places |= {"/work/none": "missing"}
                places |= {f"/work/{ITEMS[1]}/{one}": one for one in ("history", "diff", "replay")}
                for path, name in places.items():
                    answer = page.goto(url.partition("?")[0].rstrip("/") + path)
                    if answer is None or answer.status >= 500:
                        continue
                    page.wait_for_timeout(600)
                    shot = folder / f"{name.replace(' ', '-')}-{theme}-{size}.png"
                    page.screenshot(path=shot, full_page=size == "narrow")
                    print(shot)


def illustrate(browser: Browser, url: str, folder: Path) -> None:
    """Take the pictures of pages that the documentation shows."""
    for name, path, height, themes in PAGES:
        for theme in themes:
            with window(browser, theme, SIZES["wide"][0], height) as page:
                page.goto(url)
                answer = page.goto(url.partition("?")[0].rstrip("/") + path)
                if answer is None or not answer.ok:
                    raise SystemExit(f"{path} does not answer")
                for field, text in [(field, text) for one, field, text in TYPED if one == name]:
                    page.locator(f"[name={field}]").fill(text)
                    page.get_by_role("button", name="Preview").click()
                    page.locator("#look").wait_for()
                page.wait_for_timeout(1500)
                shot = folder / f"{name}-{theme}.png"
                shot.write_bytes(small(page.screenshot()))
                print(shot)


def small(picture: bytes) -> bytes:
    """Return a picture in a third of the bytes: with a palette."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise SystemExit("pillow is missing: pip install pillow") from error
    found = Image.open(io.BytesIO(picture)).convert("RGB")
    # The colours of areas as they are, and for letters those that differ most: a small green dot
    # stays green.
    counted = sorted(found.getcolors(1 << 24), reverse=True)[:FREQUENT]
    others = found.quantize(256 - len(counted), Image.Quantize.MAXCOVERAGE).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in counted for part in colour] + others)
    made = io.BytesIO()
    few = found.quantize(palette=palette, dither=Image.Dither.NONE)
    few.save(made, "PNG", optimize=True)
    return made.getvalue()


def type_commands(scene: Scene, folder: Path) -> None:
    """Draw what commands print."""
    for name, commands, themes in COMMANDS:
        shown = [(f"roost {one}", scene.shown(*one.split())) for one in commands]
        for theme in themes:
            terminal.draw(shown, theme, folder / f"{name}-{theme}.svg")
            print(folder / f"{name}-{theme}.svg")


def main(folder: Path, *, for_docs: bool) -> None:
    """Play the scene, take the pictures, and clear it away."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("chromium is missing: apt-get install chromium fonts-dejavu-core")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="roost-", ignore_cleanup_errors=True) as made,
        playing(Path(made)) as (scene, url),
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium)
        if for_docs:
            type_commands(scene, folder)
            illustrate(browser, url, folder)
        else:
            visit(browser, url, folder)
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 2 or (sys.argv[1].startswith("-") and sys.argv[1] != "--docs"):
        raise SystemExit(__doc__)
    is_for_docs = sys.argv[1] == "--docs"
    main(DOCS if is_for_docs else Path(sys.argv[1]).resolve(), for_docs=is_for_docs)
