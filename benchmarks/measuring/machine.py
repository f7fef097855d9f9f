"""What the system says about itself and its processes."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import attrs

_PACKAGES: Final = (
    "roost-runtime",
    "redis",
    "hiredis",
    "saq",
    "streaq",
    "dbos",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "celery",
    "backports.zstd",
    "jsonpatch",
)


def surroundings(server: str) -> dict[str, Any]:
    """Return what a report begins with: versions and machine."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "server": server,
        "python": platform.python_version(),
        "versions": versions,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": [round(one, 2) for one in os.getloadavg()],
    }


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown"
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else "unknown"


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of another process; not a number where the system has no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_cpu_seconds() -> float:
    """Return the CPU seconds of all processes and the kernel; not a number without /proc."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return float("nan")
    # user, nice, system, idle, iowait, irq, softirq: all but the two that wait.
    busy = [int(fields[index]) for index in (0, 1, 2, 5, 6)]
    return sum(busy) / os.sysconf("SC_CLK_TCK")


@attrs.frozen
class Memory:
    """A process's resident memory now and at its peak, in bytes."""

    now: float
    peak: float


def memory_of(pid: int | str) -> Memory:
    """Return a process's memory; not a number where the system has no /proc."""
    try:
        return parse_memory(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return Memory(float("nan"), float("nan"))


def parse_memory(text: str) -> Memory:
    """Read the text of ``/proc/<pid>/status``.

    :raises RuntimeError: the process has ended.
    """
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    if "VmRSS" not in lines:
        raise RuntimeError("a process that has ended has no memory")
    return Memory(*(int(lines[name].split()[0]) * 1024.0 for name in ("VmRSS", "VmHWM")))
