"""Work that contends for a resource: one visit to a site at a time, however many workers run.

A resource is a name that at most one leased work item holds. The work says what it needs when
it is enqueued; the engine need not know. Whoever finds its resource taken waits in line without
occupying a worker, by priority, then first come.

Run it, in this folder; ``visits.log`` shows that visits to different sites overlap, and those
to one site never do::

    roost enqueue --plugin ./one_at_a_time.py --batch - <<'END'
    {"engine": "visit", "payload": {"site": "a.example", "page": 1}, "resources": ["site:a"]}
    {"engine": "visit", "payload": {"site": "a.example", "page": 2}, "resources": ["site:a"]}
    {"engine": "visit", "payload": {"site": "a.example", "page": 3}, "resources": ["site:a"]}
    {"engine": "visit", "payload": {"site": "b.example", "page": 1}, "resources": ["site:b"]}
    {"engine": "visit", "payload": {"site": "b.example", "page": 2}, "resources": ["site:b"]}
    END
    roost worker --plugin ./one_at_a_time.py --concurrency 5 --burst
    cat visits.log
"""

import asyncio

from roost_core import hookimpl

engine_id = "visit"


@hookimpl
async def step(snapshot):
    site, page = snapshot.data["site"], snapshot.data["page"]
    _log(f"{site} {page} begins")
    await asyncio.sleep(0.05)  # the visit
    _log(f"{site} {page} ends")
    return snapshot.finish()


def _log(line):
    with open("visits.log", "a") as file:
        file.write(f"{line}\n")
