"""What the end-to-end script checks in the commands' JSON.

    e2e_check.py get KEY.KEY.INDEX < JSON     print one value
    e2e_check.py status URL < STATUS          check a finished watch; print its artifact's id
    e2e_check.py report ID URL < ARTIFACT     check the evidence report
    e2e_check.py show < ARTIFACT              print the evidence report for people
    e2e_check.py events < EVENTS              check that versions 1 to 4 came once each, in order
    e2e_check.py processes MARK [PID...]      print which processes are still there

Exits with 1 and says what is wrong.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def expect(expected: object, actual: object, what: str) -> None:
    """Leave with a message unless the two are equal."""
    if expected != actual:
        sys.exit(f"WRONG: {what} is {actual!r}, expected {expected!r}")


def get(value: Any, path: str) -> Any:
    """Return the value at ``a.b.0``."""
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


def check_observations(observations: Sequence[dict[str, Any]], url: str) -> None:
    """Check what three visits of the page must have seen."""
    expect(3, len(observations), "the number of observations")
    for number, observation in enumerate(observations, 1):
        expect(True, observation["ok"], f"ok of observation {number}")
        expect(200, observation["status"], f"status of observation {number}")
        expect(url, observation["url"], f"url of observation {number}")
        expect(True, observation["claim_found"], f"claim_found of observation {number}")


def check_status(status: dict[str, Any], url: str) -> None:
    """Check a work item that must be done, by ``roost status``."""
    meta, snapshot = status["meta"], status["snapshot"]
    for name, expected in {"state": "done", "version": 4, "step": "done", "lease": None}.items():
        expect(expected, meta[name], f"meta.{name}")
    for name, expected in {"version": 4, "step": "done", "is_finished": True}.items():
        expect(expected, snapshot[name], f"snapshot.{name}")
    data = snapshot["data"]
    expect(3, data["checks_completed"], "checks_completed")
    expect("confirmed", data["verdict"], "verdict")
    check_observations(data["observations"], url)
    expect(1, len(snapshot["artifacts"]), "the number of artifacts")
    expect("json", snapshot["artifacts"][0]["ext"], "the artifact's ext")
    print(snapshot["artifacts"][0]["artifact_id"])


def check_report(report: dict[str, Any], work_id: str, url: str) -> None:
    """Check the evidence report."""
    expect(work_id, report["work_id"], "the report's work_id")
    expect("confirmed", report["verdict"], "the report's verdict")
    expect(url, report["watch"]["url"], "the report's url")
    check_observations(report["observations"], url)


def show(report: dict[str, Any]) -> None:
    """Print the evidence report: indented JSON, with text in any script left unescaped."""
    print(json.dumps(report, indent=2, ensure_ascii=False))


def check_events(lines: Sequence[str]) -> None:
    """Check the accepted transitions, by ``roost events --json``."""
    events = [json.loads(line) for line in lines]
    kinds = [event["kind"] for event in events]
    versions = [event["version"] for event in events if event["kind"] == "committed"]
    expect([1, 2, 3, 4], versions, "the list of committed versions")
    expect(0, kinds.count("attempt_failed"), "the number of failed attempts")
    expect("done", events[-1]["state"], "the last event's state")
    print(", ".join(map(str, versions)))


def list_processes(mark: str, known: Sequence[str]) -> None:
    """Print the ids of processes with the mark in their environment, except this one.

    Where the system does not show environments, those of ``known`` that are alive.
    """
    wanted = f"ROOST_X_E2E_MARK={mark}".encode()
    if not Path("/proc/self/environ").exists():
        print(*(pid for pid in known if is_alive(int(pid))), sep="\n")
        return
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = wanted in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or belongs to somebody else
        if marked and int(folder.name) != os.getpid():
            print(folder.name)


def is_alive(pid: int) -> bool:
    """Return whether there is such a process of this user's."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def main() -> None:
    """Do as the module says."""
    what, *rest = sys.argv[1:]
    if what == "processes":
        list_processes(rest[0], rest[1:])
        return
    if what == "events":
        check_events(sys.stdin.read().splitlines())
        return
    value = json.load(sys.stdin)
    if what == "get":
        print(get(value, *rest))
    elif what == "show":
        show(value)
    elif what == "status":
        check_status(value, *rest)
    else:
        check_report(value, *rest)


if __name__ == "__main__":
    main()
