"""``roost doctor`` and its repair, over a backend in memory."""

from __future__ import annotations

import json

import pytest

from roost_core import hookimpl
from roost_core.backend import Finding, Reach, Repaired
from roost_core.testing import MemoryServer
from roost_plugins import git_workspaces
from tests.unit.cli.cli_harness import Bench


@pytest.fixture
def bench():
    """Give a queue in memory with a command line."""
    return Bench()


def test_doctor_tells_of_workers_that_it_cannot_read(bench):
    """A live worker whose record does not decode is counted, and hides no other."""

    async def workers():
        return [(b"\xff", 1000)]

    bench.ledger.workers = workers
    found = bench.invoke("doctor").stdout
    assert "warning\tworkers\tthe records of 1 live workers do not decode" in found


def test_doctor_names_engines_that_are_held(bench):
    """With who holds them and what releases them: it may be why no work is done."""
    bench.invoke("pause", "--engine", "echo", "--as", "alice", "--reason", "tests")
    found = bench.invoke("doctor").stdout
    assert "warning\tengine echo\theld by alice since 2023-11-14T22:13:20Z: tests; `roost" in found


@pytest.mark.parametrize(
    ("outcomes", "code"), [([], 0), (["mended"], 0), (["mended", "left"], 1), (["found"], 1)]
)
def test_doctor_repairs(bench, outcomes, code):
    """One line for each finding; 1 as long as something is left wrong."""
    asked = []

    async def repair(*, dry_run, progress):
        asked.append((dry_run, progress))
        return [Repaired(one, "ready", "was missing", 2, ("w-1", "w-2")) for one in outcomes]

    bench.ledger.repair = repair
    result = bench.invoke("doctor", "--repair")
    assert (code, "") == (result.exit_code, result.stderr)
    line = "\tready\t2\twas missing\tw-1, w-2\n"
    assert "".join(one + line for one in outcomes) == result.stdout
    result = bench.invoke("doctor", "--repair", "--dry-run", "--json")
    assert outcomes == [one["outcome"] for one in json.loads(result.stdout)]
    assert [(False, None), (True, None)] == asked


def test_doctor_repairs_only_what_can_be(bench):
    """A backend without a repair says so; --dry-run without a repair is a usage error."""
    result = bench.invoke("doctor", "--repair")
    assert 1 == result.exit_code
    assert "there is no repair for this backend" in result.stderr
    assert 1 == result.stderr.count("\n")
    assert 2 == bench.invoke("doctor", "--dry-run").exit_code


def test_doctor_hides_passwords_in_either_form(bench):
    """JSON has no more of a finding than the table."""

    async def diagnose():
        return [Finding("warning", "memory", "see redis://me:hunter22@example.com/0")]

    bench.server.diagnose = diagnose
    for words in ((), ("--json",)):
        found = bench.invoke("doctor", *words).stdout
        assert ("redis://me:***@example.com/0" in found, "hunter22" in found) == (True, False)


def test_doctor_tells_of_suspected_work_that_waits(bench):
    """Work that is queued despite idle lanes is explained; one shared death is not suspicious."""
    first, second, _ = (bench.ok("enqueue", "--engine", "echo").strip() for _ in range(3))

    def blame(work_id, **counts):
        def change(state, _now):
            for name, count in counts.items():
                setattr(state.works[work_id].blame, name, count)

        bench.ledger.run(change)

    blame(first, shared=1)
    assert "only apart" not in bench.invoke("doctor").stdout
    blame(first, shared=2)
    blame(second, deaths=2)
    found = bench.invoke("doctor").stdout
    assert "info\twork\t2 of what is queued may run only apart from other work" in found


def test_doctor_tells_where_large_texts_are(bench, monkeypatch):
    """In the store, or in the server, because that is wanted or not all may reach the store."""
    kept = "info\tlarge texts\tfrom 262,144 bytes on they are kept beside the server: in memory"
    assert kept in bench.invoke("doctor").stdout
    with monkeypatch.context() as patch:
        patch.setenv("ROOST_LARGE_VALUES", "0")
        inside = "info\tlarge texts\tthey are in the server: ROOST_LARGE_VALUES is 0"
        assert inside in bench.invoke("doctor").stdout
    monkeypatch.setattr(MemoryServer, "reach", Reach.MACHINE)
    away = "not all workers may reach the artifact store, in memory"
    inside = f"info\tlarge texts\tthey are in the server: {away}"
    assert inside in bench.invoke("doctor").stdout


def test_doctor_tells_of_workspaces(bench, tmp_path):
    """Where they are, what keeps them from being made, and a plugin that fails to offer any."""
    assert "info\tworkspaces\tno workspace source is set: " in bench.invoke("doctor").stdout
    bench.plugins.register(git_workspaces, "git_workspaces")
    words = ("--home", str(tmp_path))
    said = f"info\tworkspaces\tgit worktrees in {tmp_path}/workspaces, "
    assert f"{said}no source is set\n" in bench.invoke("doctor", *words).stdout
    (tmp_path / "file").write_text("x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROOST_WORKSPACE_SOURCE", str(tmp_path))
        found = bench.invoke("doctor", *words).stdout
        assert f"{said}source {tmp_path}\n" in found
        assert "problem\tworkspaces" not in found
        patch.setenv("ROOST_WORKSPACE_SOURCE", str(tmp_path / "file"))
        found = bench.invoke("doctor", *words).stdout
        assert f"problem\tworkspaces\tthe workspace source {tmp_path}/file is not a folder" in found
        patch.setenv("PATH", str(tmp_path))
        assert "problem\tworkspaces\tgit is not installed" in bench.invoke("doctor", *words).stdout

    class Failing:
        @hookimpl
        def workspace(self, settings):
            raise ValueError("no folder today")

    bench.plugins.register(Failing(), "failing")
    said = "problem\tworkspaces\tplugin failing: workspace raised ValueError: no folder today"
    assert said in bench.invoke("doctor").stdout
