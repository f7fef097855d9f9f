"""The package's engines, run to their end in memory: no server, no waiting."""

from roost_wordcount import engine
from roost_wordcount.factory import build_engine

from roost_core.testing import run_to_end


def test_words_are_counted():
    """A word a step, and one step that finds none left."""
    run = run_to_end(engine, {"text": "to be or not to be"})
    assert run.status.snapshot.data["counts"] == {"to": 2, "be": 2, "or": 1, "not": 1}
    assert (run.status.meta.state, run.status.meta.version) == ("done", 8)


def test_a_payload_without_a_text_is_refused():
    """It is a dead letter at once: no retry can mend it."""
    run = run_to_end(engine, {"txt": "to be"})
    assert run.status.meta.state == "failed"
    assert run.status.meta.error.message == 'the payload needs a text: {"text": "..."}'


def test_lines_are_counted():
    """An engine from a factory needs no marks."""
    run = run_to_end(build_engine(), {"text": "to be\nor not\n"})
    assert run.status.snapshot.data == {"lines": 2}
