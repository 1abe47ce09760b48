from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("count", "typed"), [("3", "y\n"), ("3", "YES\n"), ("3", "3\n"), ("4000", "4000\n"), ("4000", "4,000\n")]
)
def test_a_yes_continues(count: str, typed: str, on_terminal) -> None:
    ended = on_terminal("sample-ask", count, typed=typed, after="? ")

    assert ended.code == 0
    assert ended.lines[-1] == "acted"


@pytest.mark.parametrize(
    ("count", "typed"),
    [("3", "n\n"), ("3", "\n"), ("3", "maybe\n"), ("4000", "y\n"), ("4000", "400\n"), ("3", "\x04")],
)
def test_any_other_answer_changes_nothing_and_exits_2(count: str, typed: str, on_terminal) -> None:
    ended = on_terminal("sample-ask", count, typed=typed, after="? ")

    assert ended.code == 2
    assert ended.lines[-1] == "error: nothing was changed: the answer was not yes."


def test_the_question_says_what_and_how_many(on_terminal) -> None:
    assert "Replay 1 run? [y/N] " in on_terminal("sample-ask", "1", typed="n\n", after="? ").out
    assert "Replay 100 runs? [y/N] " in on_terminal("sample-ask", "100", typed="n\n", after="? ").out
    assert "Replay 101 runs? Type 101 to continue: " in on_terminal("sample-ask", "101", typed="n\n", after="? ").out


def test_without_a_terminal_the_flag_is_named(piped) -> None:
    ended = piped("sample-ask", "3", typed="y\n")

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "Would replay 3 runs" in ended.err
    assert "--yes" in ended.err


def test_yes_asks_nothing_and_neither_does_nothing_to_do(piped) -> None:
    for args in (["4000", "--yes"], ["0"]):
        ended = piped("sample-ask", *args)

        assert (ended.code, ended.out, ended.err) == (0, "acted\n", "")


def test_ctrl_c_at_the_question_is_an_interrupt(on_terminal) -> None:
    ended = on_terminal("sample-ask", "3", typed="\x03", after="? ")

    assert ended.code == 130
    assert "acted" not in ended.out
