"""The ``roost`` command line: one module per command, each imported when it is typed."""

from __future__ import annotations

import atexit
import gc
import sys
from typing import Final

__all__ = ["main"]

#: Start-up makes many objects and no garbage; looking for some in between takes a tenth of the
#: time. Cycles are still collected, after so many new objects (Python's own figure is 700).
_GC_THRESHOLD: Final = 50_000


def hold_collector_back() -> None:
    """Let this process look for garbage seldom, and not when it ends."""
    gc.set_threshold(_GC_THRESHOLD)
    # The interpreter's last search for cycles looks at every object of every module, for nothing:
    # the process ends. It is a twelfth of what `roost status` takes.
    atexit.register(gc.freeze)


def main() -> None:
    """Run the command line of this process and exit."""
    hold_collector_back()
    try:
        # Imported here, so that Ctrl-C is quiet from the first moment on.
        from roost_core.cli.app import build

        for stream in (sys.stdout, sys.stderr):
            # A title that the terminal's encoding lacks must not end a listing.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        build()(prog_name="roost")
    except KeyboardInterrupt:
        sys.exit(130)
