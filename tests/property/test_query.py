"""Queries of any kind: what is written is read again, and nothing but a refusal is raised."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from roost_core.errors import InvalidInput
from roost_core.models import State
from roost_core.query import Op, Query, Term, Test, parse
from roost_core.query.terms import AGES, NUMBERS, SINGLE

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
KEYS = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[A-Za-z0-9_./:@+~-]{1,20}", fullmatch=True)
TEXTS = st.text(min_size=1, max_size=30)
COMPARED = st.sampled_from([Op.EQUAL, Op.ABOVE, Op.AT_LEAST, Op.BELOW, Op.AT_MOST])


def values_of(ops, values):
    """Make tests of these operators and values."""
    return st.builds(Test, ops, values)


NAMED = values_of(st.sampled_from([Op.IS, Op.STARTS]), NAMES)
PAIRS = st.builds("{}={}".format, KEYS, VALUES)
#: Per key: what its values may be.
TESTS = {
    "state": values_of(st.just(Op.IS), st.sampled_from([one.value for one in State])),
    "engine": NAMED,
    "id": NAMED,
    "label": values_of(st.sampled_from([Op.IS, Op.STARTS]), PAIRS),
    "error": st.one_of(
        st.just(Test(Op.ANY)),
        values_of(st.just(Op.ALIKE), st.from_regex(r"[0-9a-f]{12}", fullmatch=True)),
        values_of(st.just(Op.HAS), TEXTS),
    ),
    "title": values_of(st.just(Op.HAS), TEXTS),
    **dict.fromkeys(NUMBERS, values_of(COMPARED, st.integers(-(10**9) + 1, 10**9 - 1))),
    **dict.fromkeys(AGES, values_of(st.just(Op.AGO), st.integers(0, 315_360_000_000))),
}
TERMS = st.one_of(
    *(
        st.builds(
            Term, st.just(key), st.lists(one, min_size=1, max_size=3).map(tuple), st.booleans()
        )
        for key, one in TESTS.items()
    ),
    st.builds(Term, st.just("text"), st.tuples(values_of(st.just(Op.HAS), TEXTS)), st.booleans()),
    st.builds(
        Term,
        st.just("label"),
        st.lists(values_of(st.just(Op.ANY), KEYS), min_size=1, max_size=3).map(tuple),
        st.booleans(),
    ),
)


def is_allowed(terms):
    """Whether no key that a work item has once is there twice."""
    keys = [term.key for term in terms if term.key in SINGLE and not term.is_negated]
    return len(set(keys)) == len(keys)


@given(st.lists(TERMS, max_size=6).filter(is_allowed).map(lambda terms: Query(tuple(terms))))
def test_what_is_written_is_read_again(query):
    """A link to a page, and a command to copy, mean the same query."""
    assert query == parse(str(query))


FRAGMENTS = st.sampled_from(
    [
        "state:",
        "label:",
        "error:",
        "id:",
        "older:",
        "-",
        '"',
        "\\",
        ",",
        "=",
        "*",
        "#",
        ":",
        " ",
        ">",
    ]
)


@given(st.lists(st.one_of(FRAGMENTS, st.text(max_size=4)), max_size=20).map("".join))
def test_whatever_is_typed_is_read_or_refused(text):
    """Nothing else is raised, in one line; and what is read can be written."""
    try:
        query = parse(text)
    except InvalidInput as error:
        lines = str(error).split("\n")
    else:
        lines = [""]
        assert query == parse(str(query))
    assert 1 == len(lines)
