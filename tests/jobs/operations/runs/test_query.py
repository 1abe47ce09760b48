"""The query language: what it reads, and where it points when it cannot."""

from __future__ import annotations

import pytest

from jobs.errors import SelectorRefused
from jobs.operations.runs.query import Term, parse


def test_terms_are_read_with_their_columns() -> None:
    terms = parse('state:dead,cancelled  args.a.b:"x y" age:>=1h')

    assert terms == [
        Term("state", ("dead", "cancelled"), 6),
        Term("args", ("x y",), 31, path="a.b"),
        Term("age", (">=1h".removeprefix(">="),), 41, sign=">="),
    ]


def test_a_quote_keeps_commas_and_an_escaped_quote() -> None:
    assert parse(r'error:"a, \"b\""')[0].values == ('a, "b"',)


@pytest.mark.parametrize(
    ("text", "column", "word"),
    [
        ("sate:dead", 1, "state"),
        ("state:dead kind", 16, "colon"),
        ("state:", 7, "value"),
        ('kind:x error:"open', 14, "never closed"),
        ("attempt:>1,2", 9, "one value"),
        ("age:1h", 5, "age:>1h"),
        (":x", 1, "field"),
        ("args.:x", 6, "no name"),
        ('kind:"a"b', 9, "space"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, column: int, word: str) -> None:
    with pytest.raises(SelectorRefused) as caught:
        parse(text)

    line, caret = caught.value.pointer
    assert word in str(caught.value)
    assert f"column {column}:" in caught.value.message
    assert line == text
    assert len(caret) == column
    assert caret.strip() == "^"


def test_a_long_query_is_cut_around_its_mistake() -> None:
    with pytest.raises(SelectorRefused) as caught:
        parse("kind:x " * 30 + "sate:dead")

    line, caret = caught.value.pointer
    assert len(line) <= 76
    assert line[len(caret) - 1 :].startswith("sate")
