"""What the tests of verbs share: who uses them, and replies that are lost."""

from __future__ import annotations

import asyncio

from roost_core.errors import BackendUnavailable


def run(bench, work, **settings):
    """Run ``work(roost)`` with an open connection."""

    async def main():
        async with bench.roost(**settings) as roost:
            return await work(roost)

    return asyncio.run(main())


def use(bench, verb, work_id="w1", **fields):
    """Use a verb on a work item."""
    return run(bench, lambda roost: getattr(roost.work(work_id), verb)(**fields))


def status(bench):
    """Return how w1 stands."""
    return run(bench, lambda roost: roost.work("w1").status()).meta


def life_of(bench):
    """Return which life of its id w1 is."""
    return bench.ledger.run(lambda state, _now: state.works["w1"].created_ms)


def unanswered(monkeypatch, ledger, name, times, applied):
    """Lose the first replies of a method, after the fact or before; return what is asked."""
    method, asked = getattr(ledger, name), []

    async def call(*args):
        asked.append(args)
        if len(asked) <= times:
            if applied:
                await method(*args)
            raise BackendUnavailable("no answer")
        return await method(*args)

    monkeypatch.setattr(ledger, name, call)
    return asked
