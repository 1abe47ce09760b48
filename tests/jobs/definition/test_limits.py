"""Limits of a job class: mistakes are refused where the class is made, and keys are read from stored arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from jobs import Job, Limit, Rate
from jobs.definition import registry
from jobs.definition.limits import UNKNOWN_KEY, digest_of, keys_of, limited_kinds
from jobs.errors import DefinitionError

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    before = set(registry.kinds())
    yield
    for kind in set(registry.kinds()) - before:
        registry.forget(kind)
        limited_kinds.pop(kind, None)


def _job(name: str, limits: Any) -> Any:
    def perform(self: Any) -> None: ...

    def region(self: Any) -> str:
        return str(self.account)[:2]

    def broken(self: Any) -> str:
        raise ValueError

    space = {"__annotations__": {"account": str}, "__module__": __name__, "__qualname__": name, "perform": perform}
    return type(Job)(name, (Job,), {**space, "region": region, "broken": broken}, limits=limits)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Limit(0), "from 1 to 1,000,000, got 0. To perform nothing, pause"),
        (lambda: Limit(1_000_001), "from 1 to 1,000,000"),
        (lambda: Limit(True), "from 1 to 1,000,000"),
        (lambda: Limit(2.5), "from 1 to 1,000,000"),  # type: ignore[arg-type]
        (lambda: Limit(2, by="a b"), "name of a field or of a method"),
        (lambda: Limit(2, by=3), "name of a field or of a method"),  # type: ignore[arg-type]
        (
            lambda: _job("A", Limit(2, by="acount")),
            "'acount', which is neither a field nor a method. Its fields are: acc",
        ),
        (lambda: _job("A", Limit(2, name="a b")), "'a b' cannot name a limit"),
        (lambda: _job("A", [Limit(2), Limit(3, by="account")]), "two limits called 'A'"),
        (lambda: _job("A", [3]), "takes a Limit(…), a Rate(…), or a list of them"),
        (
            lambda: (_job("A", Limit(5, name="x")), _job("B", Limit(6, name="x"))),
            "is 6 for all in job .*5 for all in the",
        ),
        (lambda: (_job("A", Limit(5, name="x")), _job("B", Limit(5, by="account", name="x"))), "5 for each key in job"),
        (lambda: Rate(0, per=MINUTE), "number of runs from 1, got 0. To perform nothing, pause"),
        (lambda: Rate(2.5, per=MINUTE), "number of runs from 1"),  # type: ignore[arg-type]
        (lambda: Rate(5, per=60), "per a timedelta above zero, got 60"),  # type: ignore[arg-type]
        (lambda: Rate(5, per=timedelta(0)), "per a timedelta above zero"),
        (lambda: Rate(1, per=timedelta(hours=1, seconds=1)), "slower than one an hour"),
        (lambda: Rate(1_000_001, per=timedelta(seconds=1)), "faster than a million a second"),
        (lambda: Rate(5, per=MINUTE, burst=0), "from 1 to 1,000,000, got 0. With burst=1"),
        (lambda: Rate(5, per=MINUTE, by="a b"), "Rate(by=…) takes the name of a field"),
        (lambda: _job("A", Rate(5, per=MINUTE, by="acount")), "A rate of job .*'acount', which is neither a field"),
        (lambda: _job("A", [Rate(5, per=MINUTE), Rate(6, per=MINUTE)]), "two rates called 'A'"),
        (
            lambda: _job("A", [Limit(5, by="account"), Rate(6, per=MINUTE, by="region")]),
            "one by 'region' and one by 'account'",
        ),
        (
            lambda: (_job("A", Rate(5, per=MINUTE, name="x")), _job("B", Rate(5, per=MINUTE, burst=2, name="x"))),
            "rate 'x' is 5/m in bursts of 2 for all in job .*5/m for all in the",
        ),
    ],
)
def test_a_mistake_is_refused_where_the_class_is_made(make: Callable[[], object], words: str) -> None:
    with pytest.raises(DefinitionError, match=words.replace("(", r"\(").replace(")", r"\)")):
        make()


def test_kinds_may_share_a_limit_and_a_class_may_be_defined_again_with_another() -> None:
    _job("A", Limit(5, name="x"))
    _job("B", [Limit(5, name="x"), Limit(1)])

    assert [one.name for one in limited_kinds["B"]] == ["x", "B"]
    _job("B", [])
    assert "B" not in limited_kinds
    _job("A", Limit(6, name="x"))


def test_a_limit_and_a_rate_may_share_a_name_and_the_slowest_and_fastest_rates_are_allowed() -> None:
    both = [Limit(5, by="account", name="x"), Rate(600, per=MINUTE, name="x")]
    _job("A", [*both, Rate(24, per=timedelta(days=1), name="y"), Rate(1_000_000, per=timedelta(seconds=1), name="z")])

    assert [(one.name, one.most, one.rate and str(one.rate)) for one in keys_of("A", '{"account": "a"}', 1)] == [
        ("x", 5, None), ("x", None, "600/m"), ("y", None, "24/d"), ("z", None, "1000000/s"),
    ]  # fmt: skip


def test_a_key_is_the_value_of_a_field_or_of_a_method_and_one_that_cannot_be_read_lifts_no_limit() -> None:
    _job(
        "A",
        [Limit(5, by="account"), Limit(2, by="region", name="r"), Limit(1, by="broken", name="b"), Limit(9, name="x")],
    )

    found = keys_of("A", json.dumps({"account": "eu-17" + "x" * 300}), 1)

    assert [(one.name, one.key and one.key[:5], one.most) for one in found] == [
        ("A", "eu-17", 5), ("r", "eu", 2), ("b", UNKNOWN_KEY[:5], 1), ("x", None, 9),
    ]  # fmt: skip
    assert (found[1].digest, found[3].digest) == (digest_of("eu"), "")
    assert len(found[0].key or "") == 200
    assert [one.key for one in keys_of("A", "{}", 1)] == [UNKNOWN_KEY, UNKNOWN_KEY, UNKNOWN_KEY, None]


def test_keys_that_are_equal_in_python_and_differ_in_json_are_different_keys() -> None:
    _job("A", Limit(5, by="account"))

    found = [keys_of("A", json.dumps({"account": one}), 1)[0] for one in (1, True, 1.0, "1", 1)]

    assert [one.key for one in found] == ["1", "true", "1.0", "1", "1"]
    assert [one.digest for one in found] == [digest_of(one) for one in (1, True, 1.0, "1", 1)]
    assert len({one.digest for one in found}) == 3
