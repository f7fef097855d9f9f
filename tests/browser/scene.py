"""One scene for many tests of a browser: a server, a worker, a console and a queue.

Steps of its engine end when the test lets them, so nothing here waits for a time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from roost_core import Settings, SyncRoost
from roost_core.errors import VerbUnfit
from roost_core.models import State
from tests.consoles import Running, plugins_of, running
from tests.integration.cli_bench import Shell, ending, until
from tests.integration.item_bench import Items
from tests.servers import Server, need, server_in, valkey_binary

#: Each step after the first, which makes version 1, waits for a file, whose text is the error that
#: it ends with.
GATED = """
import asyncio
from pathlib import Path
from roost_core import PermanentError, hookimpl

engine_id = "gated"

@hookimpl
async def step(snapshot, item):
    part = snapshot.version
    gate = Path(item.payload["gates"]) / f"{item.work_id}-{part}"
    while not gate.exists():
        await asyncio.sleep(0.02)
    if error := gate.read_text():
        raise PermanentError(error)
    if part >= item.payload["steps"]:
        return snapshot.finish(data={"found": part})
    return snapshot.evolve(step=f"part-{part}", data={"found": part})
"""

#: This many steps, of which the last brings this many rows.
BUSY = """
from roost_core import hookimpl

engine_id = "busy"

@hookimpl
def step(snapshot, item):
    version = snapshot.version + 1
    if version < item.payload["steps"]:
        return snapshot.evolve(data={"version": version})
    rows = [{"n": n, "text": "word " * 50} for n in range(item.payload["rows"])]
    return snapshot.finish(data={"rows": rows})
"""


@attrs.frozen(eq=False)
class Scene:
    """What a test plays in.

    :ivar gates: the folder of what steps wait for.
    """

    server: Server
    shell: Shell
    console: Running
    items: Items
    gates: Path

    @property
    def roost(self) -> SyncRoost:
        """The queue."""
        return self.items.roost

    def new(self, work_id: str, steps: int = 1, **fields: Any) -> str:
        """Enqueue work whose steps end when they are let; return its id."""
        payload = {"gates": str(self.gates), "steps": steps}
        self.roost.enqueue("gated", payload, work_id=work_id, any_engine=True, **fields)
        return work_id

    def let(self, work_id: str, part: int = 1, error: str = "") -> None:
        """Let a step end, with an error if one is given."""
        gate = self.gates / f"{work_id}-{part}"
        part = gate.with_suffix(".part")
        part.write_text(error)
        part.replace(gate)

    def comes_to(self, work_id: str, state: State) -> None:
        """Wait until work is in a state."""
        until(lambda: self.roost.work(work_id).row().meta.state is state, f"{work_id} {state}")

    def failed(self, work_id: str, error: str, **fields: Any) -> str:
        """Make a dead letter of work that would be done when it is tried again; return its id."""
        self.new(work_id, **fields)
        self.let(work_id, error=error)
        self.comes_to(work_id, State.FAILED)
        self.let(work_id)
        return work_id

    def page(self, eyes: Any, path: str = "/", **options: Any) -> Any:
        """Open a page in a window of its own that is signed in."""
        return self.tab(self.signed_in(eyes, **options), path)

    def signed_in(self, eyes: Any, **options: Any) -> Any:
        """Make a browser's profile that is signed in."""
        context = eyes.context(**options)
        assert context.request.get(self.console.url, max_redirects=0).status == 303
        return context

    def tab(self, context: Any, path: str = "/") -> Any:
        """Open a page in another tab of a profile."""
        page = context.new_page()
        page.goto(f"{self.console.origin}{path}")
        return page

    def places(self, page: Any) -> list[str]:
        """Return the path of every page that the navigation names: a new one is among them."""
        links = page.locator("#side [data-go]").evaluate_all("all => all.map(one => one.pathname)")
        assert len(links) > 5
        return list(links)

    def ends(self, work_id: str) -> None:
        """End work that runs, so that the next test has the lane."""
        with contextlib.suppress(VerbUnfit):
            self.roost.work(work_id).cancel()


@contextlib.contextmanager
def worker_in(shell: Shell, *args: str) -> Iterator[None]:
    """Run a worker of the scene's engines."""
    with (shell.folder / "worker.log").open("ab") as log:
        words = ("--plugin", "./gated.py", "--plugin", "./busy.py", "--engines", "gated,busy")
        process = shell.start("worker", *words, *args, stdout=log, stderr=log)
        with ending(process):
            yield
            assert process.poll() is None, (shell.folder / "worker.log").read_text()


@contextlib.contextmanager
def scene_in(folder: Path, server_folder: Path, *, has_worker: bool = True) -> Iterator[Scene]:
    """Set a scene in an empty folder; all of it is gone afterwards.

    :param server_folder: the server's, with a path that is short enough for its socket.
    """
    (folder / "gated.py").write_text(GATED)
    (folder / "busy.py").write_text(BUSY)
    gates = folder / "gates"
    gates.mkdir()
    home = folder / "home"
    binary = need(valkey_binary(), "valkey-server")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(server_in(binary, server_folder))
        shell = Shell(folder, {"ROOST_REDIS_URL": server.url, "ROOST_HOME": str(home)})
        if has_worker:
            stack.enter_context(worker_in(shell))
        console = stack.enter_context(running(shell))
        settings = Settings(extra={"redis_url": server.url}, home=home)
        roost = stack.enter_context(SyncRoost.connect(settings, plugins=plugins_of()))
        yield Scene(server, shell, console, Items(console, roost), gates)
