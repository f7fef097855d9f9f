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

#: Start-up makes many objects and no garbage; looking for some in between takes a tenth of the
#: time. Cycles are still collected, after so many new objects (Python's own figure is 700).
_GC_THRESHOLD: Final = 50_000


def hold_collector_back() -> None:
    """Let this process look for garbage seldom, and not when it ends."""
    gc.set_threshold(_GC_THRESHOLD)
    # The interpreter's last search for cycles looks at every object of every module, for nothing:
    # the process ends. It is a twelfth of what `roost status` takes.
    atexit.register(gc.freeze)


def _ended(number: int, _frame: object) -> None:
    os._exit(128 + number)


def _listen() -> StopSignals | None:
    """Take over the signals of a worker, if the command line begins as one; else None.

    Before all that takes long: what is imported next is most of a start. A worker that is named
    after options listens once these have been read.
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
        # Imported here, so that Ctrl-C is quiet from the first moment on.
        from roost_core.cli.app import build
        from roost_core.cli.session import Session

        for stream in (sys.stdout, sys.stderr):
            # A title that the terminal's encoding lacks must not end a listing.
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
