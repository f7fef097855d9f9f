"""The loop of ``roost dev``: it waits for signals, workers and files, and lets things happen."""

from __future__ import annotations

import os
import select
import threading
from typing import Final

from roost_core.cli.operate.voice import Voice
from roost_plugins.console.dev.messages import Ready
from roost_plugins.console.dev.stops import Stops
from roost_plugins.console.dev.supervisor import Supervisor

__all__ = ["Ready", "run"]

#: The exit code when work was left to its lease: 128 and the number of SIGINT.
LEFT_BEHIND: Final = 130
#: How long all else may take to end when the workers have. Seconds.
_LAST_SECONDS: Final = 5.0


def run(supervisor: Supervisor, voice: Voice) -> int:
    """Run until a signal has ended it; return the exit code.

    From then on the process ends within a few seconds, whatever hangs.
    """
    stops = Stops()
    supervisor.start()
    while not supervisor.is_over:
        ears = [one.ear for one in supervisor.members() if not one.is_mute]
        select.select([stops.ear, *ears], [], [], supervisor.seconds())
        for number in stops.read():
            supervisor.stop(number)
        supervisor.turn()
    code = LEFT_BEHIND if supervisor.has_killed else 0
    voice.say("ended", "ended")

    def end() -> None:
        # Another signal, or its time is over.
        while select.select([stops.ear], [], [], _LAST_SECONDS)[0]:
            if stops.read():
                break
        os._exit(code)

    threading.Thread(target=end, name="roost-dev-end", daemon=True).start()
    return code
