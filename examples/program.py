"""A program that embeds Roost: it enqueues, runs a worker, waits, and reads what came out.

Idempotency keys make it safe to run again: the same key with the same payload is the work that
is there already, so nothing is done twice. Run it twice and compare.

Run it, in this folder::

    python program.py
    python program.py
"""

import asyncio

from roost_core import Roost, RoostError, hookimpl
from roost_core.client.requests import EnqueueRequest
from roost_core.plugins.registry import Plugins
from roost_core.stepping.loops import run
from roost_core.worker import Worker

TEXTS = {
    "fox": "the quick brown fox jumps over the lazy dog",
    "rose": "a rose is a rose is a rose",
    "roost": "an engine gets the last snapshot and returns the next one",
}


class WordCount:
    """An engine may be an object; this program registers it and needs no plugin file."""

    engine_id = "word_count"

    @hookimpl
    def step(self, snapshot, context):
        words = snapshot.data["text"].split()
        counts = {word: words.count(word) for word in words}
        return snapshot.finish(
            data={"words": len(words)}, artifacts=(context.artifacts.put_json(counts),)
        )


async def main():
    plugins = Plugins.load(strict=False)  # what is installed: the backend, the artifact store
    plugins.register(WordCount(), "word_count")
    # A worker whose event loop hangs would end the whole program; 0 leaves that to you.
    async with Roost.connect(plugins=plugins, stuck_after=0) as roost:
        worker = Worker(roost.settings, plugins, roost.server, roost.store, engines=["word_count"])
        working = asyncio.create_task(worker.run())
        try:
            await count_words(roost)
        finally:
            worker.stop()
            await working


async def count_words(roost):
    results = await roost.enqueue_many(
        EnqueueRequest(
            engine="word_count",
            payload={"text": text},
            idempotency_key=f"count-{name}",
            title=name,
        )
        for name, text in TEXTS.items()
    )
    for result in results:
        if isinstance(result, RoostError):  # one that is refused does not stop the rest
            print(f"refused: {result}")
            continue
        status = await roost.work(result).wait()
        (artifact,) = status.snapshot.artifacts
        counts = await roost.artifact(artifact.artifact_id)
        print(result.title, status.meta.state, status.snapshot.data["words"], len(counts), "bytes")


if __name__ == "__main__":
    run(main())  # like asyncio.run, but an engine cannot end it
