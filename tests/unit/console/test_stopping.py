"""The signals that end a console, at any moment."""

from __future__ import annotations

import subprocess
import sys

#: No measure: it only ends what hangs. Seconds.
LIMIT = 60
#: Signals meet the main thread wherever it is on its way into the wait, and in it.
MANY = """
import signal, sys, threading
from roost_plugins.console.stopping import Stops

sys.setswitchinterval(1e-6)
main = threading.main_thread().ident
for number in range(3000):
    go = threading.Event()

    def end():
        go.wait()
        for _ in range(number % 60):
            pass
        signal.pthread_kill(main, signal.SIGTERM)

    with Stops() as stops:
        thread = threading.Thread(target=end)
        thread.start()
        try:
            go.set()
            stops.wait()
        except SystemExit:
            pass
        thread.join()
print("ended each time")
"""


def test_no_moment_of_the_wait_keeps_a_signal_waiting():
    """A handler that waited for a lock of the very wait that it interrupts would never return."""
    done = subprocess.run(
        [sys.executable, "-c", MANY], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert (0, "ended each time\n", "") == (done.returncode, done.stdout, done.stderr)
