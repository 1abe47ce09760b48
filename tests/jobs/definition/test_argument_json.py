"""Any JSON that comes as an argument is refused clearly or comes back exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jobs
from jobs.definition.arguments import check_json, read_arguments
from jobs.errors import ArgumentsRefused
from tests.book import Book, new_run
from tests.jobs.definition.argument_jobs import Free, write


def test_arguments_are_limited_in_bytes_not_characters():
    assert write(Free(value="é" * 44), max_bytes=100)
    with pytest.raises(ArgumentsRefused, match="bytes"):
        write(Free(value="é" * 46), max_bytes=100)


@pytest.mark.parametrize("text", ['{"n": 1}', '{"m": 1}', "[]", "nonsense", '{"order": "x"}', ""])
def test_stored_arguments_that_do_not_fit_any_more_are_refused(text):
    class Now(jobs.Job, kind="arguments.Now"):
        order: int

        def perform(self) -> None: ...

    with pytest.raises(ArgumentsRefused, match="do not fit"):
        read_arguments(Now, text, kind="arguments.Now")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["\0", "\ud800", "\\u0000", '"', "\\", "\u2028", "1" * 25]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def exactly(one: Any, other: Any) -> bool:
    """Equal to the type and the sign of zero."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(exactly(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(exactly, one, other))
    return repr(one) == repr(other)


def test_any_json_is_refused_clearly_or_comes_back_exactly(app):
    book = Book(app.database)

    @settings(
        max_examples=300 if app.database.dialect == "sqlite" else 100,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(JSON)
    def holds(value: Any) -> None:
        try:
            text = write(Free(value=value))
        except ArgumentsRefused:
            return
        assert exactly(read_arguments(Free, text, kind="Free").value, value)
        run = replace(new_run(), arguments=text)
        book.insert([run])
        assert exactly(book.run(run.id).arguments, {"value": value})

    holds()


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_json_from_outside_is_checked_alike(value):
    """The command line hands JSON text over: what passes there is what a job may hold."""
    text = json.dumps(value)
    try:
        check_json(text, what="Arguments", max_bytes=10_000)
    except ArgumentsRefused:
        return
    json.dumps(json.loads(text), ensure_ascii=False).encode()
    assert "\0" not in json.dumps(json.loads(text), ensure_ascii=False)
