"""An observer: tell somebody of each dead letter.

Loaded as a plugin, it appends a line of JSON to ``dead-letters.jsonl``. A program registers
``DeadLetters(call)`` instead, with a function of its own that posts to a chat or a pager.

Observers run alongside the work. One that raises or hangs is logged and left behind, and the
dead letter is stored before any of them hears of it.

Run it, in this folder, with work that cannot succeed::

    export ROOST_PLUGINS=./countdown.py,./dead_letters.py
    roost enqueue --engine countdown --payload '{"from": "many"}' --max-attempts 1
    roost worker --burst
    cat dead-letters.jsonl
"""

import json
from pathlib import Path

from roost_core import hookimpl


class DeadLetters:
    """Hands each dead letter to a function, as JSON values."""

    def __init__(self, tell):
        self._tell = tell

    @hookimpl
    def on_dead_letter(self, letter):
        """Tell; this runs in a thread, so ``tell`` may block."""
        self._tell(
            {
                "work_id": letter.item.work_id,
                "engine": letter.item.engine,
                "title": letter.item.title,
                "error": letter.error.message,
            }
        )


def append(told, path="dead-letters.jsonl"):
    """Append one line; short lines from several workers do not mix."""
    with Path(path).open("a") as file:
        file.write(json.dumps(told) + "\n")


#: A plugin may be a module as well: its hooks are the object's.
on_dead_letter = DeadLetters(append).on_dead_letter
