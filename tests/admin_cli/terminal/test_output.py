"""Lists and records on a terminal of 80 columns, in a pipe, and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

SCREENS = Path(__file__).with_name("screens")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
ID = "019ab000-0000-7000-8000-0000c9165be1"

HOSTILE = [
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\link",
    "\x9b31m \x90 \x9d",
    "over\rwritten",
    "two\nlines\n",
    "tab\tbed",
    "back\b\b\bspace",
    "nul\x00 del\x7f vt\x0b ff\x0c nel\x85",
    "\u202eright to left\u202c \u2066isolate\u2069 \u200e\u200f\u061c",
    "zero\u200b\u200c\u200dwidth\ufeff",
    "line\u2028sep\u2029",
    "zalgo" + "\u0336\u0489" * 40,
    "日本語" * 20,
    "👨‍👩‍👧‍👦" * 10,
    "[red]markup[/red] :smile: {braces} %s",
    "x" * 500,
    "lone \ud800 surrogate",
    "tags \U000e0001\U000e0041",
]


def plain(text: str) -> str:
    return STYLE.sub("", text).replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("screen", "args", "columns"),
    [
        ("list-80", ["sample-list"], 80),
        ("list-120", ["sample-list"], 120),
        ("list-40", ["sample-list"], 40),
        ("list-utc-120", ["sample-list", "--utc"], 120),
        ("list-columns-80", ["sample-list", "--columns", "kind,tags,id", "--sort", "-took"], 80),
        ("list-wide", ["sample-list", "-o", "wide", "--no-headers"], 80),
        ("show-80", ["sample-show"], 80),
    ],
)
def test_a_screen_equals_its_reviewed_copy(screen, args, columns, on_terminal) -> None:
    ended = on_terminal(*args, columns=columns)

    assert ended.code == 0
    assert plain(ended.out) == (SCREENS / f"{screen}.txt").read_text()


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 81, 100, 200])
def test_no_line_of_a_table_is_wider_than_the_terminal(columns: int, on_terminal: Callable) -> None:
    ended = on_terminal("sample-list", columns=columns)

    lines = plain(ended.out).splitlines()
    assert len(lines) == 4
    assert max(cell_len(line) for line in lines) <= columns


def test_columns_stand_under_each_other_whatever_is_wide(on_terminal) -> None:
    lines = plain(on_terminal("sample-list", columns=80).out).splitlines()

    state = cell_len(lines[0][: lines[0].index("STATE")])
    for line, word in zip(lines[1:], ["dead", "succeeded", "running"], strict=True):
        assert cell_len(line[: line.index(word)]) == state


@pytest.mark.parametrize("hostile", HOSTILE, ids=[f"text{place}" for place in range(len(HOSTILE))])
def test_hostile_text_cannot_act_on_a_terminal(hostile: str, on_terminal: Callable) -> None:
    for command in ("sample-list", "sample-show"):
        ended = on_terminal(command, "--hostile", json.dumps(hostile), columns=80)

        text = plain(ended.out)
        assert ended.code == 0
        assert [c for c in text if not c.isprintable() and c != "\n"] == []
        assert max(cell_len(line) for line in text.splitlines()) <= 80
        assert command == "sample-show" or len(text.splitlines()) == 4


@pytest.mark.parametrize("hostile", HOSTILE, ids=[f"text{place}" for place in range(len(HOSTILE))])
def test_hostile_text_breaks_no_row_of_tsv_and_returns_exactly_from_json(hostile, piped) -> None:
    argument = json.dumps(hostile)

    rows = piped("sample-list", "--hostile", argument).out.split("\n")
    assert [len(row.split("\t")) for row in rows] == [8, 8, 8, 8, 1]
    assert [c for row in rows for c in row if not c.isprintable() and c != "\t"] == []

    shown = piped("sample-list", "--hostile", argument, "-o", "json").out
    assert shown.isascii()
    assert [c for c in shown if not c.isprintable() and c != "\n"] == []
    assert json.loads(shown)["data"][0]["error"] == hostile

    lines = piped("sample-list", "--hostile", argument, "-o", "jsonl").out.split("\n")
    assert [json.loads(line)["kind"] for line in lines if line] == [hostile] * 3


def test_a_pipe_gets_everything_in_full(piped) -> None:
    ended = piped("sample-list", env={"COLUMNS": "40"})

    assert ended.lines[0].split("\t") == [
        "ID", "KIND", "STATE", "CREATED_AT", "ATTEMPT", "TOOK", "ERROR", "TAGS",
    ]  # fmt: skip
    assert ended.lines[1].split("\t") == [
        ID,
        "billing.ChargeCardOfCustomer",
        "dead",
        "2026-11-23T11:59:57Z",
        "10",
        "90.0",
        "CardDeclined: insufficient funds on the card of the customer, says the bank",
        '["eu", "card"]',
    ]
    assert "\x1b" not in ended.out


def test_times_are_local_unless_utc_is_asked_for(piped) -> None:
    zone = {"TZ": "Asia/Kolkata"}

    local = piped("sample-list", "--columns", "created_at", "--no-headers", env=zone)
    utc = piped("sample-list", "--columns", "created_at", "--no-headers", "--utc", env=zone)
    as_json = piped("sample-list", "-o", "jsonl", env=zone)

    assert local.lines[0] == "2026-11-23T17:29:57+05:30"
    assert utc.lines[0] == "2026-11-23T11:59:57Z"
    assert json.loads(as_json.lines[0])["created_at"] == "2026-11-23T11:59:57Z"


def test_names_are_full_ids_to_pipe_on(piped) -> None:
    ended = piped("sample-list", "-o", "name", "--sort", "attempt")

    assert [line[-8:] for line in ended.lines] == ["f1d5bb01", "a0b1c2d3", "c9165be1"]
    assert ended.lines[2] == ID


def test_json_is_the_envelope_with_the_next_cursor(piped) -> None:
    answer = json.loads(piped("sample-list", "-o", "json", "--cursor", "abc").out)

    assert list(answer) == ["data", "error", "meta", "pagination"]
    assert answer["pagination"] == {"next": "abc"}
    assert answer["error"] is None
    assert answer["data"][0]["id"] == ID
    assert answer["data"][0]["took"] == 90.0
    assert answer["data"][1]["tags"] == []


def test_json_of_one_thing_has_no_pagination(piped) -> None:
    answer = json.loads(piped("sample-show", "-o", "json").out)

    assert answer["data"]["id"] == ID
    assert answer["pagination"] is None


def test_a_list_with_more_pages_says_so_on_stderr(piped) -> None:
    ended = piped("sample-list", "--cursor", "abc")

    assert ended.err == "more: --cursor abc\n"
    assert "abc" not in ended.out


def test_an_empty_list_is_a_header_for_programs_and_a_sentence_for_people(piped, on_terminal) -> None:
    ended = piped("sample-list", "--empty")

    assert ended.lines == ["ID\tKIND\tSTATE\tCREATED_AT\tATTEMPT\tTOOK\tERROR\tTAGS"]
    assert json.loads(piped("sample-list", "--empty", "-o", "json").out)["data"] == []
    assert plain(on_terminal("sample-list", "--empty").out) == "nothing matches.\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--columns", "id,colour"], "--columns: no column 'colour'. Columns: id, kind, state"),
        (["--columns", ","], "--columns names no column"),
        (["--sort", "-age"], "--sort: no column 'age'"),
        (["-o", "yaml"], "'yaml' is not one of"),
    ],
)
def test_a_column_or_format_that_does_not_exist_is_refused(args, said, piped) -> None:
    ended = piped("sample-list", *args)

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert said in ended.err


def test_sorting_puts_rows_without_a_value_last_either_way(piped) -> None:
    up = piped("sample-list", "--sort", "took", "--columns", "took", "--no-headers").out
    down = piped("sample-list", "--sort", "-took", "--columns", "took", "--no-headers").out

    assert up.split("\n") == ["0.25", "90.0", "", ""]
    assert down.split("\n") == ["90.0", "0.25", "", ""]


def test_colour_is_for_terminals_unless_told_otherwise(piped, on_terminal) -> None:
    assert STYLE.search(on_terminal("sample-list").out)
    assert "\x1b" not in on_terminal("sample-list", env={"NO_COLOR": "1"}).out.replace("\x1b[1m", "").replace(
        "\x1b[0m", ""
    )
    assert "\x1b" not in on_terminal("sample-list", env={"TERM": "dumb"}).out
    assert "\x1b" not in piped("sample-list", "-o", "table").out
    assert STYLE.search(piped("sample-list", "-o", "table", env={"FORCE_COLOR": "1"}).out)
    assert "\x1b" not in piped("sample-list", env={"FORCE_COLOR": "1"}).out


def test_a_table_in_a_pipe_is_cut_only_to_a_given_width(piped) -> None:
    assert "says the bank" in piped("sample-list", "-o", "table").out

    narrow = piped("sample-list", "-o", "table", env={"COLUMNS": "60"})
    assert max(cell_len(line) for line in narrow.lines) <= 60


def test_a_terminal_that_cannot_show_an_ellipsis_gets_a_tilde(on_terminal) -> None:
    ended = on_terminal("sample-list", columns=80, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})

    assert ended.code == 0
    assert ended.out.isascii()
    assert "~" in ended.out
