"""The parts of workspaces that touch neither disk nor git."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost_core.errors import InvalidInput, WorkspaceError
from roost_core.models import WORK_ID
from roost_plugins.git_workspaces.naming import branch_name, queue_name, workspace_name
from roost_plugins.git_workspaces.worktrees import GitWorkspaces

WORK_IDS = st.from_regex(WORK_ID, fullmatch=True)


def test_plain_ids_name_themselves():
    """A lower-case id without git's forbidden parts is the name of its folder."""
    for work_id in ("w1", "0a-b_c.d", "x.lock.y", "a" * 128):
        assert work_id == workspace_name(work_id)


@pytest.mark.parametrize("work_id", ["a..b", "a.", "a.lock", "Fix", "a.lock.lock", "a...lock"])
def test_unruly_ids_get_a_digest(work_id):
    """An id that git or a case-insensitive file system would confuse is marked with a digest."""
    assert "+" in workspace_name(work_id)


@given(WORK_IDS)
def test_names_are_one_safe_component(work_id):
    """Every name is a single path component that git accepts at the end of a branch name."""
    name = workspace_name(work_id)

    assert "/" not in name
    assert ".." not in name
    assert not name.startswith((".", "-"))
    assert not name.endswith((".", ".lock"))
    assert len(name) < 200


@given(WORK_IDS, WORK_IDS)
def test_names_tell_ids_apart_even_without_case(one, other):
    """Two ids never share a name, not even where case is ignored."""
    if one != other:
        assert workspace_name(one).lower() != workspace_name(other).lower()
    assert workspace_name(one.lower()).lower() != workspace_name(one.upper()).lower() or (
        one.lower() == one.upper()
    )


QUEUES = st.tuples(*[st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)] * 2)


@given(QUEUES, QUEUES)
def test_queues_have_folders_and_branches_of_their_own(one, other):
    """Each name is one safe component, and no two queues share one, even where case is ignored."""
    name = queue_name(*one)

    assert "/" not in name
    assert ".." not in name
    assert len(name) < 200
    if one != other:
        assert name.lower() != queue_name(*other).lower()


def test_the_default_queue_has_the_plain_names():
    """Only there is a branch called by the work item alone."""
    assert "" == queue_name("default", "default")
    assert "roost/w1" == branch_name("", "w1")
    assert branch_name(queue_name("default", "mail"), "w1").startswith(
        "roost-queues/q-default.mail+"
    )


@pytest.mark.parametrize("work_id", ["", ".", "..", "a/b", "../a", "a\n", "-x", "ä", "a" * 129, 7])
def test_malformed_ids_touch_no_path(work_id):
    """What is not a work id is refused by every method."""
    workspaces = GitWorkspaces(Path("/nowhere"), Path("/nowhere/either"))

    for method in (workspaces.path_of, workspaces.ensure, workspaces.remove):
        with pytest.raises(InvalidInput, match="work id"):
            method(work_id)


def test_path_is_pure_and_absolute(tmp_path, monkeypatch):
    """path_of makes nothing, and a later change of folder does not move it."""
    monkeypatch.chdir(tmp_path)
    workspaces = GitWorkspaces(None, Path("root"))
    monkeypatch.chdir("/")

    assert tmp_path / "root" / "w1" == workspaces.path_of("w1")
    assert [] == list(tmp_path.iterdir())


def test_without_a_source_the_setting_is_named(tmp_path):
    """One line says which setting is missing, and no folder is made."""
    with pytest.raises(WorkspaceError, match="ROOST_WORKSPACE_SOURCE") as caught:
        GitWorkspaces(None, tmp_path / "root").ensure("w1")

    assert "\n" not in str(caught.value)
    assert [] == list(tmp_path.iterdir())
