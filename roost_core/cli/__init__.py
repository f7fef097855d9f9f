"""The ``roost`` command line: one module per command, each imported when it is typed."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and exit."""
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
