"""Workers as processes: how signals stop them, and what keeps them from starting."""

from __future__ import annotations

import contextlib
import re
import signal

from tests.integration.cli_bench import DEAF, LIMIT, ending, until


def test_first_signal_drains(shell, slow):
    """SIGTERM lets the step in flight end; the worker says what it waits for and exits with 0."""
    mark = shell.folder / "mark"
    work_id = shell.enqueue("slow", {"seconds": 1, "mark": str(mark)})
    with ending(shell.start("worker", *slow)) as worker:
        until(mark.exists, "the step")
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode
    assert f"roost: stopping; waiting up to 30 s for the steps of {work_id}." in err
    assert "done" == shell.meta(work_id)["state"]


def test_second_signal_cancels(shell, slow):
    """The second Ctrl-C gives the work back at once, without an attempt."""
    mark = shell.folder / "mark"
    work_id = shell.enqueue("slow", {"seconds": 600, "mark": str(mark)})
    with ending(shell.start("worker", *slow)) as worker:
        until(mark.exists, "the step")
        worker.send_signal(signal.SIGINT)
        until(lambda: "stopping" in worker.stderr.readline(), "the first word")
        worker.send_signal(signal.SIGINT)
        _, err = worker.communicate(timeout=LIMIT)

    assert 0 == worker.returncode
    assert "cancelling the steps" in err
    assert "Traceback" not in err
    meta = shell.meta(work_id)
    assert ("queued", 0, 0) == (meta["state"], meta["attempts"], meta["recoveries"])


def test_third_signal_leaves_at_once(shell):
    """A step that ignores everything cannot hold the worker at the third signal."""
    (shell.folder / "deaf.py").write_text(DEAF)
    mark = shell.folder / "mark"
    shell.enqueue("deaf", {"mark": str(mark)})
    with ending(shell.start("worker", "--plugin", "./deaf.py")) as worker:
        until(mark.exists, "the step")
        worker.send_signal(signal.SIGTERM)
        until(lambda: "stopping" in worker.stderr.readline(), "the first word")
        worker.send_signal(signal.SIGTERM)
        until(lambda: "cancelling" in worker.stderr.readline(), "the second word")
        with contextlib.suppress(ProcessLookupError):
            worker.send_signal(signal.SIGTERM)
        worker.wait(LIMIT)

    # It may have found a way to leave the thread behind before the third signal came.
    assert worker.returncode in (0, 130)


def test_a_worker_never_starts_half_equipped(shell):
    """A plugin that fails to load stops the worker before it announces itself."""
    (shell.folder / "broken.py").write_text("import nothing_of_that_name\n")
    done = shell.run("worker", "--plugin", "./broken.py")

    assert (2, "") == (done.returncode, done.stdout)
    assert re.fullmatch(r"roost: .*broken.*nothing_of_that_name.*\n", done.stderr)
