"""The ``roost`` command line: one module per command, each imported when it is typed."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from roost_core.cli.signals import StopSignals

__all__ = ["main"]

#: Start-up makes many objects and no garbage; collecting in between takes a tenth of the time.
#: Cycles are still collected, after this many new objects (Python's default is 700): more than any
#: command makes while it starts, because to look at them all takes a twentieth of `roost status`.
_GC_THRESHOLD: Final = 100_000


def hold_collector_back() -> None:
    """Make this process collect garbage rarely, and not when it ends."""
    gc.set_threshold(_GC_THRESHOLD)
    # The interpreter's last collection visits every object of every module for nothing: the process
    # is ending. It is a twelfth of what `roost status` takes.
    atexit.register(gc.freeze)


def _ended(number: int, _frame: object) -> None:
    os._exit(128 + number)


def _listen() -> StopSignals | None:
    """Take over the signals of a worker, if the command line begins as one; else None.

    This comes before anything slow: what is imported next is most of start-up. If options precede
    ``worker``, it listens once these have been read.
    """
    if sys.argv[1:2] != ["worker"]:
        return None
    from roost_core.cli.signals import StopSignals

    signals = StopSignals()
    signals.install()
    return signals


def main() -> None:
    """Run the command line of this process and exit."""
    hold_collector_back()
    if os.getpid() == 1:
        # The kernel ends the first process of a container for no signal without a handler.
        signal.signal(signal.SIGTERM, _ended)
    try:
        signals = _listen()
        # Imported here, so that Ctrl-C is quiet from the very start.
        from roost_core.cli.app import build
        from roost_core.cli.output import warn_as_messages
        from roost_core.cli.session import Session

        warn_as_messages()

        for stream in (sys.stdout, sys.stderr):
            # A title that the terminal's encoding cannot show must not end a listing.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        session = Session() if signals is None else Session(signals=signals)
        try:
            build()(prog_name="roost", obj=session)
        except SystemExit as end:
            session.signals.end_soon(end.code)
            raise
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        from roost_core.cli.output import give_up_printing

        if not give_up_printing(error):
            raise
        sys.exit(1)
