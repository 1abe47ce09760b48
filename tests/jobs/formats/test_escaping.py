from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.formats.escaping import MAX_COMBINING, escape_controls, escape_lines, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, with a \\ and 'quotes'", "plain text, with a \\ and 'quotes'"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b2J", "\\x9b2J"),
        ("a\tb\nc\rd", "a\\tb\\nc\\rd"),
        ("nul\x00 del\x7f bell\x07", "nul\\x00 del\\x7f bell\\x07"),
        ("user\u202egpj.exe", "user\\u202egpj.exe"),
        ("a\u2066b\u2069\u200f\u061c", "a\\u2066b\\u2069\\u200f\\u061c"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("line\u2028par\u2029\x85", "line\\u2028par\\u2029\\x85"),
        ("lone \ud800", "lone \\ud800"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("日本語 ünïcödé naïve 🎉", "日本語 ünïcödé naïve 🎉"),
        ("heart \u2764\ufe0f", "heart \u2764"),
        ("", ""),
    ],
)
def test_control_characters_are_escaped_and_other_text_stays(text: str, shown: str) -> None:
    assert escape_controls(text) == shown


@given(st.text(st.characters(codec=None)))
def test_no_text_keeps_a_character_that_acts_on_a_terminal(text: str) -> None:
    shown = escape_controls(text)

    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert shown.encode().decode() == shown


def test_every_escaped_code_point_is_harmless() -> None:
    categories = {unicodedata.category(c) for point in range(sys.maxunicode + 1) for c in escape_controls(chr(point))}

    assert not categories & {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}


def test_a_pile_of_combining_marks_is_cut_down() -> None:
    shown = escape_controls("a" + "\u0301" * 50)

    assert shown.count("\u0301") == MAX_COMBINING
    assert shown.endswith("\\u0301")


def test_text_is_split_at_newlines_only() -> None:
    assert escape_lines("a\r\n\tb\x1b\nc\rd\x0be\n") == ["a", "    b\\x1b", "c\\rd\\x0be"]


def test_a_message_of_several_lines_becomes_one() -> None:
    assert one_line("2 mistakes:\n  JOBS_THREADS is 0\n  JOBS_LEASE is x\n") == (
        "2 mistakes: JOBS_THREADS is 0; JOBS_LEASE is x"
    )
