"""Properties of the filesystem artifact store."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roost_core.errors import ArtifactNotFound, InvalidInput
from roost_core.models import ARTIFACT_ID, EXTENSION, WORK_ID, Artifact
from roost_plugins.fs_artifacts.records import work_folder
from roost_plugins.fs_artifacts.store import FilesystemStore

DATA = b"bytes"
AID = hashlib.sha256(DATA).hexdigest()

#: Strings that try to leave a folder, and near misses of sound ones.
NASTY = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            [
                "..",
                ".",
                "/",
                "\\",
                "~",
                "\0",
                "\n",
                "%2e",
                "canary",
                "w1",
                AID,
                "\uff0e",
                "\udc80",
                "",
            ]
        ),
        max_size=6,
    ).map("".join),
    st.sampled_from([AID, "w1", "json"]).flatmap(
        lambda good: st.sampled_from(
            [good, good + "\n", "\n" + good, good + "/", "../" + good, good + "\0", good.upper()]
        )
    ),
)


@pytest.fixture(scope="module")
def area(tmp_path_factory):
    """Return a folder with canaries beside the store's root, and wherever a path could lead out."""
    area = tmp_path_factory.mktemp("area")
    (area / "canary").write_bytes(b"canary")
    (area / AID).write_bytes(DATA)
    return area


def outside(area: Path) -> dict[str, bytes]:
    """Return all files around the store's root with their content."""
    return {
        str(path): path.read_bytes()
        for path in area.rglob("*")
        if path.is_file() and not path.is_relative_to(area / "deep" / "root")
    }


@settings(deadline=None, max_examples=200)
@given(artifact_id=NASTY, work_id=NASTY, ext=NASTY, name=st.none() | NASTY)
def test_no_input_reaches_outside_the_root(area, artifact_id, work_id, ext, name):
    """Whatever the strings are, nothing outside the root is read, written or removed (A2)."""
    store = FilesystemStore(area / "deep" / "root")
    before = outside(area)
    is_id = ARTIFACT_ID.fullmatch(artifact_id) is not None
    for read in (store.get, store.exists, store.describe):
        try:
            read(artifact_id)
        except InvalidInput:
            assert not is_id
        except ArtifactNotFound:
            assert is_id
        else:
            assert is_id
    is_work = WORK_ID.fullmatch(work_id) is not None
    for act in (store.of_work, store.forget):
        try:
            act(work_id)
        except InvalidInput:
            assert not is_work
        else:
            assert is_work
    try:
        artifact = store.put(DATA, work_id=work_id, ext=ext, name=name)
    except InvalidInput:
        pass
    else:
        assert is_work
        assert EXTENSION.fullmatch(ext)
        assert [artifact] == store.of_work(work_id)

    assert before == outside(area)


@given(st.from_regex(WORK_ID, fullmatch=True), st.from_regex(WORK_ID, fullmatch=True))
def test_work_folders_are_one_component_each(one, other):
    """A work item's folder is one path component, and no two share one, even ignoring case."""
    folder = work_folder(one)

    assert "/" not in folder
    assert not folder.startswith(".")
    assert one == folder.partition("+")[0]
    if one != other:
        assert folder.lower() != work_folder(other).lower()


class StoreMachine(RuleBasedStateMachine):
    """The store and a dictionary, driven together."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[str, dict[str, tuple[bytes, Artifact]]] = {}

    @property
    def store(self) -> FilesystemStore:
        """A new store each time: all state is on the disk."""
        return FilesystemStore(Path(self.folder.name) / "root")

    @rule(
        data=st.sampled_from([b"", b"a", b"b", b"c" * 5000]),
        work=st.sampled_from(["w1", "W1", "w2"]),
        ext=st.sampled_from(["bin", "json"]),
        name=st.sampled_from([None, "ä name"]),
    )
    def put(self, data: bytes, work: str, ext: str, name: str | None) -> None:
        """Store bytes; the newest metadata of a work item wins."""
        artifact = self.store.put(data, work_id=work, ext=ext, name=name)
        assert hashlib.sha256(data).hexdigest() == artifact.artifact_id
        self.model.setdefault(work, {})[artifact.artifact_id] = (data, artifact)

    @rule(work=st.sampled_from(["w1", "W1", "w2"]))
    def forget(self, work: str) -> None:
        """Forget a work item."""
        self.store.forget(work)
        self.model.pop(work, None)

    @invariant()
    def agrees(self) -> None:
        """Every reading method gives what the dictionary holds (A1)."""
        store = self.store
        for data in (b"", b"a", b"b", b"c" * 5000):
            artifact_id = hashlib.sha256(data).hexdigest()
            owners = [
                (work, held[artifact_id][1])
                for work, held in sorted(self.model.items())
                if artifact_id in held
            ]
            assert owners == list(store.describe(artifact_id))
            assert bool(owners) == store.exists(artifact_id)
            if owners:
                assert data == store.get(artifact_id)
        for work in ("w1", "W1", "w2"):
            held = self.model.get(work, {})
            assert [held[one][1] for one in sorted(held)] == list(store.of_work(work))

    def teardown(self) -> None:
        """Remove the folder."""
        self.folder.cleanup()


StoreMachine.TestCase.settings = settings(deadline=None, max_examples=30, stateful_step_count=20)
TestStore = StoreMachine.TestCase
