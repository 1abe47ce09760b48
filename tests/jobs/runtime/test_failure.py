"""Failure: what is kept of what a job raised is bounded, storable, and grouped by a stable fingerprint."""

from __future__ import annotations

from types import CodeType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runtime.failure import MAX_MESSAGE, MAX_TRACEBACK, describe_failure, storable


def failing(source: str, *, path: str = "/srv/app/tasks.py", **names: Any) -> BaseException:
    """What ``perform`` of this source raises."""
    space: dict[str, Any] = dict(names)
    code: CodeType = compile(source, path, "exec")
    exec(code, space)
    try:
        space["perform"]()
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


BASE = "def perform():\n    raise ValueError(f'order {number}')\n"


def print_of(source: str, *, kind: str = "K", **given: Any) -> str:
    return describe_failure(failing(source, **given), kind=kind).fingerprint


def test_a_fingerprint_is_the_same_over_ids_moved_lines_and_another_folder():
    prints = {
        print_of(BASE, number=1),
        print_of(BASE, number=2),
        print_of("\n\n# moved\n" + BASE, number=1),
        print_of(BASE, number=1, path="/other/release/tasks.py"),
    }

    assert len(prints) == 1
    assert len(prints.pop()) == 12


def test_a_fingerprint_differs_by_kind_class_and_place():
    other_class = BASE.replace("ValueError", "KeyError")
    other_place = "def helper():\n    raise ValueError('x')\ndef perform():\n    helper()\n"
    prints = {
        print_of(BASE, number=1),
        print_of(BASE, number=1, kind="Other"),
        print_of(other_class, number=1),
        print_of(other_place),
        print_of(BASE, number=1, path="/srv/app/other.py"),
    }

    assert len(prints) == 5


def test_the_place_is_the_applications_own_not_a_librarys():
    library: dict[str, Any] = {}
    exec(compile("def parse():\n    raise ValueError('x')", "/v/site-packages/lib/a.py", "exec"), library)
    one = print_of("def perform():\n    parse()\n", parse=library["parse"])
    exec(compile("def other():\n    raise ValueError('x')", "/v/site-packages/lib/b.py", "exec"), library)

    assert one == print_of("def perform():\n    parse()\n", parse=library["other"])


def test_no_local_variable_is_kept():
    failure = describe_failure(failing("def perform():\n    password = 'hunter2'\n    1 / 0\n"), kind="K")

    assert (failure.type, failure.message) == ("ZeroDivisionError", "division by zero")
    assert "hunter2" not in f"{failure.message}{failure.traceback}"


def test_what_is_kept_is_bounded():
    failure = describe_failure(failing("def perform():\n    raise ValueError('x' * 10**6)\n"), kind="K")

    assert len(failure.message) == MAX_MESSAGE
    assert len(failure.traceback or "") <= MAX_TRACEBACK


def test_an_error_whose_text_fails_is_kept_all_the_same():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    failure = describe_failure(failing("def perform():\n    raise Mute\n", Mute=Mute), kind="K")

    assert failure.message == "(its text cannot be read)"
    assert failure.type.endswith("Mute")


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "x\udfff\0"])
def test_an_error_with_text_that_databases_refuse_is_kept(text):
    failure = describe_failure(ValueError(text), kind="K")

    failure.message.encode()
    assert "\0" not in f"{failure.message}{failure.traceback}"


@given(st.text(st.characters()))
def test_storable_text_is_unchanged_unless_it_must_be(text):
    kept = storable(text)

    kept.encode()
    assert "\0" not in kept
    if "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text):
        assert kept == text


@pytest.mark.parametrize("raised", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_whose_text_cannot_be_read_is_kept_all_the_same(raised):
    class Mute(Exception):
        def __str__(self) -> str:
            raise raised

    kept = describe_failure(failing("def perform():\n    raise Mute", Mute=Mute), kind="K")

    assert kept.message == "(its text cannot be read)"
    assert kept.traceback is not None
    assert "tasks.py" in kept.traceback


class Lazy(str):
    """Text of an application's own: whatever it is asked, it raises."""

    def _raise(self, *given: Any, **named: Any) -> Any:
        raise RuntimeError("not now")

    replace = encode = __format__ = __getitem__ = __len__ = __str__ = __repr__ = _raise


class Spoken(Exception):
    def __str__(self) -> str:
        return Lazy("order 7")


class Nameless(type):
    def __getattribute__(cls, name: str) -> Any:
        if name == "__qualname__":
            raise KeyboardInterrupt
        return super().__getattribute__(name)


def test_an_error_whose_text_is_a_subclass_of_str_is_kept_as_plain_text():  # K.3
    kept = describe_failure(Spoken(), kind="K")

    assert (type(kept.message), kept.message) == (str, "order 7")


def test_an_error_that_cannot_be_described_is_kept_all_the_same():  # K.3
    class Hidden(Exception, metaclass=Nameless):
        pass

    kept = describe_failure(Hidden(), kind="K")

    assert kept.type == "Unreadable"
    assert kept.fingerprint == describe_failure(Hidden(), kind="K").fingerprint
