"""Roost's own plugins are like any others: copies in another distribution work as well."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.packaging.sources import ROOT

#: Only a hang takes this long, in seconds.
LIMIT = 120.0
#: The distribution's own plugins, by name.
SHIPPED = sorted(
    path.name for path in (ROOT / "roost_plugins").iterdir() if (path / "__init__.py").is_file()
)

#: Keeps processes from importing an original whose copy is under test.
REFUSES = """
import sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.startswith({names!r}):
            raise ModuleNotFoundError(f"{{name}} is an original", name=name)

sys.meta_path.insert(0, Refusal())
"""

#: Uses a workspace of its own at each step.
ENGINE = """
from roost_core import hookimpl

engine_id = "roomy"

@hookimpl
def step(snapshot, context):
    (context.workspace() / "note").write_text("here")
    return snapshot.finish()
"""


def entry_points() -> dict[str, dict[str, str]]:
    """Return the distribution's entry points by group and name."""
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg")
    lines = found["options.entry_points"].items()
    return {
        group: dict(map(str.strip, line.split("=")) for line in text.strip().splitlines())
        for group, text in lines
        if group != "console_scripts"
    }


class Elsewhere:
    """An import path on which some plugins are copies, of a distribution of their own."""

    def __init__(self, folder: Path, copied: list[str]) -> None:
        self.folder = folder
        self.path = folder / "installed"
        self.path.mkdir()
        originals = [f"roost_plugins.{name}" for name in copied]
        if copied == SHIPPED:
            originals.append("roost_plugins")
        points = entry_points()
        mine = {
            group: {
                name: place.replace("roost_plugins", "elsewhere")
                for name, place in found.items()
                if place in originals
            }
            for group, found in points.items()
        }
        theirs = {
            group: {name: place for name, place in found.items() if place not in originals}
            for group, found in points.items()
        }
        self._install("roost-runtime", theirs)
        self._install("somebody-elses", mine)
        (self.path / "sitecustomize.py").write_text(REFUSES.format(names=tuple(originals)))
        (self.path / "elsewhere").mkdir()
        (self.path / "elsewhere" / "__init__.py").touch()
        for name in copied:
            self._copy(name)
        (folder / "roomy.py").write_text(ENGINE)

    def _install(self, name: str, groups: dict[str, dict[str, str]]) -> None:
        info = self.path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        text = "".join(
            f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in points.items())
            for group, points in groups.items()
        )
        (info / "entry_points.txt").write_text(text)

    def _copy(self, name: str) -> None:
        copy = self.path / "elsewhere" / name
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "roost_plugins" / name, copy, ignore=ignored)
        for path in copy.rglob("*.py"):
            path.write_text(path.read_text("utf-8").replace("roost_plugins", "elsewhere"), "utf-8")

    def roost(self, *words: str) -> str:
        """Run a command line that has to succeed; return what it prints."""
        kept = {key: text for key, text in os.environ.items() if not key.startswith("ROOST_")}
        own = {
            "PYTHONPATH": f"{self.path}{os.pathsep}{ROOT}",
            "ROOST_HOME": str(self.folder / "home"),
            "ROOST_EMBEDDED_IDLE": "1",
            "ROOST_WATCHLIST_ALLOW_PRIVATE_ADDRESSES": "yes",
            "ROOST_WORKSPACE_SOURCE": str(self.folder / "source"),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "roost_core.cli", *words],
            cwd=self.folder,
            env=kept | own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout

    def python(self, program: str) -> str:
        """Run a program on this import path; return what it prints."""
        environment = {**os.environ, "PYTHONPATH": f"{self.path}{os.pathsep}{ROOT}"}
        return subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=True,
        ).stdout


class Page(BaseHTTPRequestHandler):
    """A page to watch."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<p>It is open.</p>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[str]:
    """Serve a page on this machine; give its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """Give a folder whose path is short enough for a socket in it."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="roost-door-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("copied", [*([name] for name in SHIPPED), SHIPPED], ids="+".join)
def test_a_copy_works(short_tmp, page, copied):
    """Work runs to its end with it: queue, engine, artifact, workspace, settings and commands."""
    place = Elsewhere(short_tmp, copied)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-C", str(short_tmp / "source")]
    subprocess.run(["git", "init", "-q", str(short_tmp / "source")], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)

    rows = {row["plugin"]: row for row in json.loads(place.roost("plugins", "--json"))}
    assert set(SHIPPED) == set(rows)
    for name, row in rows.items():
        whose = "elsewhere" if name in copied else "roost_plugins"
        assert (f"{whose}.{name}", "ok") == (row["location"], row["status"])

    payload = {"url": page, "claim": "open", "checks_required": 2, "delay_seconds": 0}
    words = ("enqueue", "--plugin", "./roomy.py", "--payload", json.dumps(payload))
    watched = place.roost(*words, "--engine", "watchlist").strip()
    roomy = place.roost(*words, "--engine", "roomy").strip()
    place.roost("worker", "--plugin", "./roomy.py", "--burst", "--quiet", "--concurrency", "1")

    found = json.loads(place.roost("status", watched))
    assert ("done", 3) == (found["meta"]["state"], found["meta"]["version"])
    (artifact,) = found["snapshot"]["artifacts"]
    report = json.loads(place.roost("artifact-show", artifact["artifact_id"]))
    assert "confirmed" == report["verdict"]
    assert "done" == json.loads(place.roost("status", roomy))["meta"]["state"]
    path = Path(place.roost("workspace-path", roomy).strip())
    assert "here" == (path / "note").read_text()
    assert watched in place.roost("list", "--state", "done")
    assert "--keep" in place.roost("demo", "--help")
    findings = json.loads(place.roost("doctor", "--json"))
    assert [] == [one for one in findings if one["level"] == "problem"]


def test_originals_are_refused(short_tmp):
    """The test above proves something: where there is a copy, the original cannot be imported."""
    place = Elsewhere(short_tmp, SHIPPED)
    program = f"""
import importlib
for name in {SHIPPED}:
    importlib.import_module(f"elsewhere.{{name}}")
    try:
        importlib.import_module(f"roost_plugins.{{name}}")
    except ModuleNotFoundError:
        print(name)
"""
    assert SHIPPED == place.python(program).split()
