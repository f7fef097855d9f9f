"""The smallest engine: one function that gets the last snapshot and returns the next.

A hook takes only the arguments that it names. Without an ``init_snapshot`` the payload is
the first snapshot's data.

Run it, in this folder::

    ID=$(roost enqueue --plugin ./countdown.py --engine countdown --payload '{"from": 3}')
    roost worker --plugin ./countdown.py --burst
    roost status $ID
"""

from roost_core import hookimpl

engine_id = "countdown"


@hookimpl
def step(snapshot):
    left = snapshot.data["from"] - 1
    if left == 0:
        return snapshot.finish(data={"from": 0})
    return snapshot.evolve(data={"from": left})
