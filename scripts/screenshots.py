"""Take pictures of every page of the console, light and dark, wide and narrow.

``python scripts/screenshots.py FOLDER`` makes a small scene in a folder of its own: a server, a
worker with agents that run, wait, fail and finish, and a console. Then Debian's Chromium visits
each page that the navigation names, and a work item of each kind. It needs ``playwright`` (of the
extra ``testing``) and ``chromium``. Nothing is left behind, except the pictures: look at them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright

#: What the scene's agents do.
AGENTS: Final = '''"""Agents of a scene."""
import asyncio
from roost_core import PermanentError, hookimpl

engine_id = "scout"


@hookimpl
async def step(snapshot, item, context):
    wanted = item.payload
    page = snapshot.data.get("page", 0) + 1
    context.heartbeat(min(1.0, page / wanted["pages"]), f"reading page {page}/{wanted['pages']}")
    await asyncio.sleep(wanted.get("seconds", 0.05))
    if page > wanted.get("fails_at", 1_000_000):
        raise PermanentError(wanted["error"]) from ConnectionError("upstream closed the connection")
    found = [*snapshot.data.get("sources", []), {"page": page, "title": f"Source {page}"}]
    data = {"goal": item.title, "page": page, "sources": found[-20:], "is_sure": page > 3}
    if page == wanted["pages"]:
        report = await context.artifacts.aput_json({"sources": found}, name="report")
        return snapshot.finish(data=data, artifacts=(report,))
    return snapshot.evolve(step=("search", "read", "note")[page % 3], data=data)
'''
#: Widths and heights of the window, by name.
SIZES: Final = {"wide": (1280, 800), "narrow": (390, 844)}
#: The scene settles meanwhile. Seconds.
SETTLES: Final = 6.0


def work() -> list[dict[str, Any]]:
    """Return the scene's work items, as lines of ``roost enqueue --batch``."""
    found: list[dict[str, Any]] = [
        {
            "work_id": f"scout-{n:02d}",
            "title": f"Find three sources for claim {n}",
            "payload": {"pages": 4 + n % 3},
        }
        for n in range(1, 13)
    ]
    limit = {"pages": 9, "fails_at": 3, "error": "429 rate limit: try again in 60 s"}
    found += [
        {"work_id": f"limited-{n}", "title": f"Compare offers of shop {n}", "payload": limit}
        for n in range(1, 6)
    ]
    found += [
        {
            "work_id": "parse-7",
            "title": "Read the price list",
            "payload": {"pages": 5, "fails_at": 1, "error": "no table in the page"},
        },
        {
            "work_id": "nightly-2026-11-26",
            "title": "Nightly survey of 300 pages",
            "payload": {"pages": 300, "seconds": 0.7},
        },
        {
            "work_id": "later-1",
            "title": "Look again tomorrow",
            "delay_seconds": 86_400.0,
            "payload": {"pages": 2},
        },
    ]
    found += [
        {
            "work_id": f"host-{n}",
            "title": f"Read the archive, part {n}",
            "resources": ["domain:example.com"],
            "payload": {"pages": 90, "seconds": 0.9},
        }
        for n in range(1, 4)
    ]
    found = [{"engine": "scout", **one} for one in found]
    return found + [
        {"engine": "crawl", "work_id": f"crawl-{n}", "title": f"Crawl site {n}", "payload": {}}
        for n in range(1, 5)
    ]


class Scene:
    """A queue in a folder of its own, and what runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # The server leaves soon after the last one that needs it.
        own = {"ROOST_HOME": str(folder / "home"), "ROOST_EMBEDDED_IDLE": "1"}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ROOST_")}
        self._environment = {**kept, **own, "XDG_STATE_HOME": str(folder)}

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command."""
        command = [sys.executable, "-m", "roost_core.cli", *words]
        usual = {"stderr": subprocess.DEVNULL, "text": True, **more}
        return subprocess.Popen(command, cwd=self.folder, env=self._environment, **usual)  # noqa: S603 - ours

    def run(self, *words: str) -> None:
        """Run a command to its end."""
        if self.start(*words, stdout=subprocess.DEVNULL).wait() != 0:
            raise SystemExit(f"roost {' '.join(words)} failed")

    @contextmanager
    def running(self, *words: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
        """Run a command meanwhile."""
        process = self.start(*words, **more)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def visit(browser: Browser, url: str, folder: Path) -> None:
    """Take the pictures."""
    for theme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="light" if theme == "light" else "dark",
                device_scale_factor=2,
            )
            page = context.new_page()
            page.goto(url)
            places = {
                link.get_attribute("href") or "": (link.text_content() or "").strip().lower()
                for link in page.locator("#side [data-go]").all()
            }
            items = ("scout-01", "nightly-2026-11-26", "limited-1", "host-2", "crawl-1")
            places |= {f"/work/{one}": f"item {one}" for one in items}
            for path, name in places.items():
                answer = page.goto(url.partition("?")[0].rstrip("/") + path)
                if answer is None or not answer.ok:
                    continue
                page.wait_for_timeout(600)
                shot = folder / f"{name.replace(' ', '-')}-{theme}-{size}.png"
                page.screenshot(path=shot, full_page=size == "narrow")
                print(shot)
            context.close()


def main(folder: Path) -> None:
    """Make the scene, take the pictures, and clear it away."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("chromium is missing: apt-get install chromium fonts-dejavu-core")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="roost-", ignore_cleanup_errors=True) as made:
        scene = Scene(Path(made))
        (scene.folder / "agents.py").write_text(AGENTS, encoding="utf-8")
        lines = "".join(f"{json.dumps(one)}\n" for one in work())
        (scene.folder / "work.jsonl").write_text(lines, encoding="utf-8")
        with scene.running("ui", "--port", "0", stdout=subprocess.PIPE) as console:
            assert console.stdout is not None
            url = console.stdout.readline().strip()
            scene.run("enqueue", "--batch", "work.jsonl", "--any-engine")
            scene.run("pause", "scout-12", "--reason", "wait for the new list")
            with scene.running("worker", "--plugin", "./agents.py", "--concurrency", "4"):
                time.sleep(SETTLES)
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=chromium)
                    visit(browser, url, folder)
                    browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]).resolve())
