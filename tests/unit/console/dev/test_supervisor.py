"""Which worker works, and when: with workers that do as they are told, and a clock that waits."""

from __future__ import annotations

import itertools
import signal

import attrs
import pytest

from roost_core.errors import InvalidInput
from roost_plugins.console.dev.messages import Broken, Loading, Ready, Seen
from roost_plugins.console.dev.supervisor import END_SECONDS, STUCK_SECONDS, Supervisor

numbers = itertools.count(1)


@attrs.define(eq=False)
class Worker:
    """A worker without a process."""

    clock: object
    pid: int = attrs.field(factory=lambda: next(numbers))
    ear: int = -1
    began: float | None = None
    beat: float = 0.0
    is_stopping: bool = False
    is_mute: bool = False
    told: list = attrs.field(factory=list)
    done: list = attrs.field(factory=list)
    code: int | None = None

    def messages(self):
        """Give what the test says."""
        told, self.told = self.told, []
        return told

    def go(self):
        """Begin."""
        self.began = self.beat = self.clock()
        self.done.append("go")

    def stop(self):
        """Stop, if that is new."""
        if not self.is_stopping:
            self.is_stopping = True
            self.done.append("stop")

    def cancel(self, seconds):
        """Stop at once."""
        self.is_stopping = True
        self.done.append(f"cancel {seconds:g}")

    def kill(self):
        """Die."""
        self.done.append("kill")
        self.code = -signal.SIGKILL

    def tick(self, now):
        """Have no deadline."""

    def ended(self):
        """Give the exit code."""
        return self.code

    def close(self):
        """Have nothing."""
        self.done.append("close")


class Voice:
    """Remembers what was said."""

    def __init__(self):
        self.said = []

    def say(self, text, action, *more, **fields):
        """Remember."""
        self.said.append((action, text, *more))

    warn = fail = say

    def last(self, action):
        """Return the newest lines of a kind."""
        return next(one for one in reversed(self.said) if one[0] == action)


class Files:
    """A watcher that sees what the test says."""

    too_large = ()

    def __init__(self):
        self.changed = []

    def changes(self):
        """Give them once."""
        found, self.changed = self.changed, []
        return found

    def watch(self, files, folders):
        """Take it."""

    watch_also = watch


class Bench:
    """A supervisor and all it needs."""

    def __init__(self, stuck_after=300.0):
        self.now = 100.0
        self.workers = []
        self.voice, self.files = Voice(), Files()
        self.begun = []
        self.changed = []
        self.refusal = None
        self.supervisor = Supervisor(
            self.spawn,
            self.files,
            self.voice,
            on_work=self.begin,
            stuck_after=stuck_after,
            clock=lambda: self.now,
        )
        self.supervisor.start()

    def spawn(self):
        """Start one."""
        if self.refusal:
            raise InvalidInput(self.refusal)
        self.workers.append(Worker(lambda: self.now, beat=self.now))
        return self.workers[-1]

    def begin(self, ready, has_changed):
        """Note that a worker begins."""
        self.begun.append(ready)
        self.changed.append(has_changed)

    def turn(self, seconds=0.0):
        """Let time pass and something happen."""
        self.now += seconds
        self.supervisor.turn()

    def save(self):
        """Change a file, and let that settle."""
        self.files.changed = ["/a/engine.py"]
        self.turn(1.0)
        self.turn(0.3)
        return self.workers[-1]

    def tell(self, worker, message):
        """Let a worker tell something."""
        worker.told.append(message)
        self.turn()

    def working(self):
        """Return a worker that works."""
        worker = self.workers[-1]
        self.tell(worker, READY)
        return worker


READY = Ready(Seen(), ("agent",), {"agent": None})
BROKEN = Broken(Seen(), ("engine.py:3: SyntaxError: x", "> 3 | x"))


@pytest.fixture
def bench():
    """Make one."""
    return Bench()


def test_the_first_begins_when_it_is_loaded(bench):
    """Not before."""
    (first,) = bench.workers
    bench.turn()
    assert [] == first.done
    bench.working()
    assert (["go"], [READY]) == (first.done, bench.begun)


def test_the_new_one_is_loaded_before_the_old_one_stops(bench):
    """And works when the old one has let its steps end."""
    old = bench.working()
    new = bench.save()
    assert (["go"], []) == (old.done, new.done)
    bench.tell(new, READY)
    assert (["go", "stop"], []) == (old.done, new.done)
    bench.turn(20.0)
    assert [] == new.done
    old.code = 0
    bench.turn()
    assert ["go"] == new.done
    assert not [one for one in bench.voice.said if one[0] == "died"]


def test_broken_code_changes_nothing(bench):
    """The old one continues, the block is shown once, and the next save is tried."""
    old = bench.working()
    bad = bench.save()
    bench.tell(bad, BROKEN)
    bad.code = 3
    bench.turn()
    said = bench.voice.last("broken")
    assert ("broken", *BROKEN.lines) == said[:3]
    assert "the code before this continues" in said[3]
    assert ["go"] == old.done
    good = bench.save()
    bench.tell(good, READY)
    old.code = 0
    bench.turn()
    assert ["go"] == good.done
    assert [] == [one for one in bench.voice.said if one[0] in ("died", "restarting")]


def test_who_comes_back_is_not_reloaded(bench):
    """A worker after one that died has the same code; one after a save has another."""
    bench.working().code = -9
    bench.turn()
    bench.turn(1.0)
    bench.working()
    bench.tell(bench.save(), READY)
    bench.workers[-2].code = 0
    bench.turn()
    assert [False, False, True] == bench.changed


def test_a_save_that_dies_while_it_loads_is_still_one(bench):
    """It is tried again, and works then: with other code than before."""
    old = bench.working()
    old.code = -9
    bench.turn()
    bench.save().code = 7
    bench.turn()
    bench.turn(1.0)
    bench.working()
    assert [False, True] == bench.changed


def test_broken_from_the_start(bench):
    """Nothing runs, nothing is started again by itself, and the next save mends it."""
    (bad,) = bench.workers
    bench.tell(bad, BROKEN)
    bad.code = 3
    bench.turn(100.0)
    assert 1 == len(bench.workers)
    assert "no worker runs" in bench.voice.last("broken")[-1]
    assert ["go"] == (bench.save(), bench.working())[0].done


def test_a_save_while_the_old_one_drains(bench):
    """The newest sound code follows; what was loaded in between never works."""
    old = bench.working()
    second = bench.save()
    bench.tell(second, READY)
    third = bench.save()
    bench.tell(third, READY)
    assert ["stop"] == second.done
    second.code = old.code = 0
    bench.turn()
    bench.turn()
    assert "go" in third.done
    assert "go" not in second.done


def test_broken_code_while_the_old_one_drains(bench):
    """The last sound code continues: work does not stand still for a mistake."""
    old = bench.working()
    second = bench.save()
    bench.tell(second, READY)
    bad = bench.save()
    bench.tell(bad, BROKEN)
    assert "the last sound code continues" in bench.voice.last("broken")[-1]
    bad.code, old.code = 3, 0
    bench.turn()
    assert "go" in second.done


def test_a_save_while_it_loads(bench):
    """The load under way is dropped."""
    (first,) = bench.workers
    second = bench.save()
    assert ["stop"] == first.done
    first.told.append(READY)
    first.code = 0
    bench.turn()
    assert [] == bench.begun
    bench.tell(second, READY)
    assert ["go"] == second.done


def test_a_dead_worker_starts_again_after_a_growing_pause(bench):
    """And says so; a save does not wait."""
    for pause in (0.5, 1.0, 2.0):
        worker = bench.working()
        worker.code = -signal.SIGKILL
        bench.turn(1.0)
        assert "killed by SIGKILL" in bench.voice.last("died")[1]
        assert f"in {pause:g} s" in bench.voice.last("restarting")[1]
        count = len(bench.workers)
        bench.turn(pause - 0.01)
        assert count == len(bench.workers)
        bench.turn(0.02)
        assert count + 1 == len(bench.workers)
    worker = bench.working()
    worker.code = 1
    bench.turn(1.0)
    count = len(bench.workers)
    bench.save()
    assert count + 1 == len(bench.workers)


def test_a_process_that_ends_while_it_loads(bench):
    """Out of memory at import, for one: said, and tried again if nothing else works."""
    (first,) = bench.workers
    first.code = -signal.SIGSEGV
    bench.turn()
    assert "while it loaded the code: killed by SIGSEGV" in bench.voice.last("died")[1]
    bench.turn(0.6)
    assert 2 == len(bench.workers)
    bench.working()
    crashed = bench.save()
    crashed.code = 1
    bench.turn()
    count = len(bench.workers)
    bench.turn(60.0)
    assert count == len(bench.workers)


def test_why_a_worker_could_not_work(bench):
    """What it told last is the reason."""
    worker = bench.working()
    worker.told.append(Broken(Seen(), ("the login is refused",), is_loaded=True))
    worker.code = 3
    bench.turn()
    assert "the worker has died: the login is refused" == bench.voice.last("died")[1]


def test_a_stuck_worker_is_killed(bench):
    """One that has not run Python for a minute; and started again."""
    worker = bench.working()
    bench.turn(STUCK_SECONDS - 1)
    assert ["go"] == worker.done
    bench.turn(2)
    assert "kill" in worker.done
    bench.turn()
    assert "stuck for 61 s" in bench.voice.last("died")[1]


@pytest.mark.parametrize(("setting", "seconds"), [(0.0, 1e6), (2.0, 1.9)])
def test_stuck_after_is_obeyed(setting, seconds):
    """Zero: nothing is stuck; a shorter time: sooner."""
    bench = Bench(stuck_after=setting)
    worker = bench.working()
    bench.turn(seconds)
    assert ["go"] == worker.done
    bench.turn(0.2)
    assert (setting > 0) == ("kill" in worker.done)


def test_loading_that_takes_long_is_told(bench):
    """With the line."""
    bench.tell(bench.workers[0], Loading("engine.py:7"))
    assert "still loading, at engine.py:7" == bench.voice.last("loading")[1]


def test_ctrl_c_ends_it(bench):
    """Steps may end, for a while; then their work is given back."""
    worker = bench.working()
    loading = bench.save()
    bench.supervisor.stop(signal.SIGINT)
    assert (["go", "stop"], ["stop"]) == (worker.done, loading.done)
    loading.code = 0
    bench.turn(END_SECONDS - 0.1)
    assert ["go", "stop"] == worker.done
    bench.turn(0.2)
    assert "cancel 5" == worker.done[-1]
    worker.code = 0
    bench.turn()
    assert bench.supervisor.is_over
    assert not bench.supervisor.has_killed


def test_a_second_ctrl_c_gives_work_back_at_once(bench):
    """A third does not even wait for that."""
    worker = bench.working()
    bench.supervisor.stop(signal.SIGINT)
    bench.supervisor.stop(signal.SIGINT)
    assert "cancel 1" == worker.done[-1]
    bench.supervisor.stop(signal.SIGINT)
    assert "kill" == worker.done[-1]
    bench.turn()
    assert (True, True) == (bench.supervisor.is_over, bench.supervisor.has_killed)


def test_ctrl_backslash_is_a_second_one(bench):
    """SIGQUIT does not wait."""
    worker = bench.working()
    bench.supervisor.stop(signal.SIGQUIT)
    assert "cancel 1" == worker.done[-1]


def test_nothing_starts_once_it_is_told_to_stop(bench):
    """No death, save or pause starts another."""
    worker = bench.working()
    worker.code = 1
    bench.turn()
    bench.supervisor.stop(signal.SIGTERM)
    count = len(bench.workers)
    bench.files.changed = ["/a/engine.py"]
    bench.turn(10.0)
    bench.turn(10.0)
    assert (count, True) == (len(bench.workers), bench.supervisor.is_over)


def test_a_project_that_cannot_be_read(bench):
    """Its file was saved half: the worker before continues, and the next save counts."""
    old = bench.working()
    bench.refusal = "cannot read pyproject.toml"
    bench.save()
    assert "cannot read pyproject.toml" == bench.voice.last("broken")[1]
    assert ["go"] == old.done
    bench.refusal = None
    assert bench.save() is not old


def test_it_does_not_spin(bench):
    """It sleeps between two looks at the files, and wakes for what is due."""
    bench.working()
    bench.turn(1.0)
    assert 0.2 < bench.supervisor.seconds() <= 0.25
    bench.supervisor.stop(signal.SIGINT)
    assert bench.supervisor.seconds() <= 1.0
