"""Bring the clone's ``.venv`` up to date, then become a command that runs in it.

The environment is made when it is missing, broken or made elsewhere, and
installed into again when ``setup.cfg`` or ``pyproject.toml`` has changed since;
otherwise this takes a few hundredths of a second. Runs share a lock on it for as long
as they last, and whoever changes it holds that lock exclusively, so that no run sees
an environment that is being changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "roost-stamp.json"
LOCK = ROOT / ".venv.lock"
PYTHON = VENV / "bin" / "python"
#: What the tests need besides the extra: they build a wheel.
WANTED = ("-e", ".[testing]", "build>=1.2")


def wanted_stamp() -> dict[str, str]:
    """Return the stamp of an environment that is finished and up to date."""
    files = (ROOT / name for name in ("setup.cfg", "pyproject.toml", "scripts/venv.py"))
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files))
    return {"root": str(ROOT), "digest": digest.hexdigest()}


def found_stamp() -> dict[str, str]:
    """Return the stamp of the existing environment; empty if it is not finished."""
    try:
        stamp = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and os.access(PYTHON, os.X_OK) else {}


def is_sound() -> bool:
    """Return whether there is an environment that can be installed into."""
    if found_stamp().get("root", str(ROOT)) != str(ROOT):
        return False  # moved: its scripts name the old place
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        done = subprocess.run([PYTHON, "-c", check], capture_output=True)  # noqa: S603 - no shell
    except OSError:
        return False
    return done.returncode == 0


def bring_up_to_date() -> None:
    """Make or update the environment; the stamp comes last, so that a kill leaves none."""
    sound = is_sound()
    if VENV.is_file():
        VENV.unlink()  # PEP 832: another tool has noted here where its own environment is
    STAMP.unlink(missing_ok=True)
    if not sound:
        say(f"making {VENV} with Python {sys.version.split()[0]}")
        run(sys.executable, "-m", "venv", "--clear", str(VENV))
    say("installing what it needs")
    run(str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *WANTED)
    STAMP.write_text(json.dumps(wanted_stamp()))


def run(*command: str) -> None:
    """Run a command in the clone, its output on standard error; end with its code if it fails."""
    code = subprocess.run(command, cwd=ROOT, stdout=sys.stderr).returncode  # noqa: S603 - no shell
    if code:
        say(f"failed: {' '.join(command)}")
        sys.exit(1)


def say(text: str) -> None:
    """Tell people what is happening."""
    print(f"venv: {text}", file=sys.stderr, flush=True)


def lock(descriptor: int, kind: int) -> None:
    """Take the lock, and say so if that takes a while."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another run that uses or changes .venv")
        fcntl.flock(descriptor, kind)


def main() -> None:
    """Do as the module says."""
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    lock(descriptor, fcntl.LOCK_SH)
    while found_stamp() != wanted_stamp():
        # The system cannot convert one kind of lock to the other atomically: look again.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        lock(descriptor, fcntl.LOCK_EX)
        if found_stamp() != wanted_stamp():
            bring_up_to_date()
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        lock(descriptor, fcntl.LOCK_SH)
    # The command inherits the shared lock and keeps it until it ends.
    os.set_inheritable(descriptor, True)
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV)}
    environment["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    os.execvpe(sys.argv[1], sys.argv[1:], environment)  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
