"""The engine ``linecount``: made by a factory, found by an entry point of ``roost.engines``.

Nothing of Roost is imported here: the snapshot that a step is handed is enough.
"""


class LineCount:
    """Counts the lines of a text, in one step."""

    engine_id = "linecount"

    def step(self, snapshot, item, context):
        lines = snapshot.data["text"].splitlines()
        return snapshot.finish(data={"lines": len(lines)})


def build_engine(**options):
    """Return the engine; Roost passes no options today."""
    return LineCount()
