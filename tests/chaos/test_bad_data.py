"""Invalid payloads: each is refused in one line, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from roost_core import Settings
from roost_core.codec.strict_json import MAX_PAYLOAD_BYTES
from roost_core.models import State
from tests.chaos.crew import ENGINE, PATIENCE, Crew, ask, counts, eventually
from tests.servers import Server

#: As files that a person might name, with words of the error.
BAD = {
    "nothing": (b"", "not JSON"),
    "broken": (b'{"a": ', "not JSON"),
    "two values": (b"{} {}", "not JSON"),
    "single quotes": (b"{'a': 1}", "not JSON"),
    "no number": (b'{"a": NaN}', "not JSON"),
    "without end": (b"[-Infinity]", "not JSON"),
    "overflowing": (b"[1e999]", "not JSON"),
    "lone surrogate": (rb'{"a": "\ud800"}', "surrogate"),
    "lone surrogate as a key": (rb'{"\udfff": 1}', "surrogate"),
    "no UTF-8": (b'{"a": "\xff"}', "utf-8"),
    "the same key twice": (b'{"a": 1, "a": 2}', "twice"),
    "65 deep": (b"[" * 65 + b"]" * 65, "64"),
    "a million deep": (b"[" * 1_000_000, "64"),
    "one byte over the cap": (b'"' + b"x" * (MAX_PAYLOAD_BYTES - 1) + b'"', str(MAX_PAYLOAD_BYTES)),
}
#: Just as deep, and as large, as is allowed.
GOOD = {
    "64 deep": b"[" * 64 + b"]" * 64,
    "at the cap": b'"' + b"x" * (MAX_PAYLOAD_BYTES - 2) + b'"',
}


def enqueue_file(crew: Crew, path: Path) -> subprocess.CompletedProcess[str]:
    """Run ``roost enqueue`` with a file as the payload."""
    command = [sys.executable, "-m", "roost_core.cli", "enqueue", "--engine", "ledger"]
    command += ["--plugin", str(ENGINE), "--payload", f"@{path}"]
    return subprocess.run(
        command,
        env=crew.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_payloads_that_are_none(
    redis_server: Server, tmp_path: Path, tally: Callable[[int, str, int], None]
) -> None:
    """Fault 10: on the command line; what is just within the bounds runs to its end."""
    settings = Settings(home=tmp_path, extra={"redis_url": redis_server.url}, namespace="bad-data")
    with Crew(tmp_path, settings, steps=1, pause=0.0) as crew:
        said = {}
        for name, raw in ({name: raw for name, (raw, _) in BAD.items()} | GOOD).items():
            path = tmp_path / name
            path.write_bytes(raw)
            said[name] = enqueue_file(crew, path)
        for name, (_, word) in BAD.items():
            done = said[name]
            assert (name, 2, "", 1) == (name, done.returncode, done.stdout, done.stderr.count("\n"))
            assert word in done.stderr, (name, done.stderr[:300])
            assert len(done.stderr) < 500, name
        assert dict.fromkeys(GOOD, 0) == {name: said[name].returncode for name in GOOD}
        ids = {said[name].stdout.strip() for name in GOOD}
        rows = ask(settings, lambda roost: roost.list())
        assert ids == {row.meta.work_id for row in rows}  # type: ignore[attr-defined]
        crew.start()
        eventually(lambda: counts(settings)[State.DONE] == len(GOOD), "all done")
    tally(10, "an invalid payload on the command line", len(BAD))
