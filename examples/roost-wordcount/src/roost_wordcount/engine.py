"""The engine ``wordcount``: a module with hooks, found by an entry point of group ``roost``."""

from roost_core import PermanentError, Snapshot, hookimpl

engine_id = "wordcount"


@hookimpl
def init_snapshot(item):
    text = item.payload.get("text") if isinstance(item.payload, dict) else None
    if not isinstance(text, str):
        raise PermanentError('the payload needs a text: {"text": "..."}')
    return Snapshot.start(item, data={"left": text.split(), "counts": {}})


@hookimpl
def step(snapshot):
    """Count one word a step."""
    left, counts = snapshot.data["left"], dict(snapshot.data["counts"])
    if not left:
        return snapshot.finish(data={"counts": counts})
    word, *left = left
    counts[word] = counts.get(word, 0) + 1
    return snapshot.evolve(data={"left": left, "counts": counts})
