"""Workers whose plugin breaks on import: they touch no work, and others do it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from roost_core import Settings
from roost_core.models import State
from tests.chaos.crew import (
    ENGINE,
    PATIENCE,
    Crew,
    accepted_versions,
    counts,
    enqueue,
    events,
    eventually,
)
from tests.servers import Server

#: What the file says, the exit code, and words of what the worker says.
BROKEN = {
    "raises": ("x = 1\nraise ValueError('no such site')\n", 2, "ValueError: no such site"),
    "exits": ("import sys\nsys.exit(0)\n", 2, "SystemExit: 0"),
    "interrupts": ("raise KeyboardInterrupt\n", 2, "KeyboardInterrupt"),
    "does not compile": ("def step(:\n", 2, "SyntaxError"),
    "misses a module": ("import no_such_module_x\n", 2, "no_such_module_x"),
    "ends the process": ("import os\nos._exit(7)\n", 7, ""),
    "is the same engine again": (ENGINE.read_text(), 2, "ledger"),
}
HANGS = "import pathlib, time\npathlib.Path(__file__ + '.mark').touch()\ntime.sleep(3600)\n"


def start(crew: Crew, path: Path) -> subprocess.Popen[str]:
    """Start a worker with the ledger engine and one more plugin."""
    command = [sys.executable, "-m", "roost_core.cli", "worker"]
    command += ["--plugin", str(ENGINE), "--plugin", str(path)]
    return subprocess.Popen(
        command,
        env=crew.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_imports_that_break(
    redis_server: Server, tmp_path: Path, tally: Callable[[int, str, int], None]
) -> None:
    """Fault 13: raised, exited, hung, or named twice, it ends that worker alone, and says why."""
    settings = Settings(
        home=tmp_path, extra={"redis_url": redis_server.url}, namespace="bad-plugins"
    )
    work_ids = enqueue(settings, 5)
    with Crew(tmp_path, settings, steps=2, pause=0.1) as crew:
        for number, (name, (text, code, words)) in enumerate(BROKEN.items()):
            path = tmp_path / f"broken{number}.py"
            path.write_text(text)
            with start(crew, path) as worker:
                _, err = worker.communicate(timeout=PATIENCE)
            assert (name, code, False) == (name, worker.returncode, "Traceback" in err), err
            assert words in err, (name, err)
            assert (name, bool(words)) == (name, path.name in err), err
        path = tmp_path / "hangs.py"
        path.write_text(HANGS)
        with start(crew, path) as worker:
            eventually(Path(f"{path}.mark").exists, "the import")
            worker.send_signal(signal.SIGTERM)
            _, err = worker.communicate(timeout=PATIENCE)
        assert (0, "") == (worker.returncode, err)
        assert {"enqueued"} == {one.kind for one in events(settings)}
        crew.start()
        eventually(lambda: counts(settings)[State.DONE] == len(work_ids), "all done")
        assert {one: [1, 2, 3] for one in work_ids} == accepted_versions(events(settings))
    tally(13, "a plugin that breaks as it is imported", len(BROKEN) + 1)
