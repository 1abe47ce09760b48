"""The program with a few commands of the tests' own; run as a program, so that it has real streams.

``python sample.py sample-list -o tsv``. Ages are counted from a fixed moment.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

import click

from admin_cli.commands import COMMANDS
from admin_cli.program.lazy import Entry
from admin_cli.program.prompt import confirm
from admin_cli.terminal.columns import Column, paint_state
from admin_cli.terminal.output import Output, output_options, record_options
from admin_cli.terminal.record import Section

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

RUNS = [
    {
        "id": UUID("019ab000-0000-7000-8000-0000c9165be1"),
        "kind": "billing.ChargeCardOfCustomer",
        "state": "dead",
        "created_at": NOW - timedelta(seconds=3),
        "attempt": 10,
        "took": timedelta(seconds=90),
        "error": "CardDeclined: insufficient funds on the card of the customer, says the bank",
        "tags": ["eu", "card"],
    },
    {
        "id": UUID("019ab000-0000-7000-8000-0000f1d5bb01"),
        "kind": "mail.Send",
        "state": "succeeded",
        "created_at": NOW - timedelta(hours=5),
        "attempt": 1,
        "took": timedelta(milliseconds=250),
        "error": None,
        "tags": [],
    },
    {
        "id": UUID("019ab000-0000-7000-8000-0000a0b1c2d3"),
        "kind": "日本語の仕事",
        "state": "running",
        "created_at": NOW + timedelta(minutes=5),
        "attempt": 2,
        "took": None,
        "error": None,
        "tags": ["x"],
    },
]

COLUMNS = (
    Column("id", is_id=True),
    Column("kind", gives=2, min_width=10),
    Column("state", paint=paint_state),
    Column("created_at", heading="AGE"),
    Column("attempt", gives=1),
    Column("took"),
    Column("error", gives=3, min_width=12),
    Column("tags", is_wide=True),
)


@click.command()
@output_options(COLUMNS)
@click.option("--hostile", help="A JSON text for every cell.")
@click.option("--empty", is_flag=True)
@click.option("--cursor")
@click.option("--many", type=int, default=0)
def list_command(out: Output, hostile: str | None, empty: bool, cursor: str | None, many: int) -> None:
    """List the sample runs."""
    rows = [] if empty else RUNS
    if hostile is not None:
        text = json.loads(hostile)
        rows = [{**run, "kind": text, "error": text, "tags": [text, {text: text}]} for run in RUNS]
    out.rows(rows * many if many else rows, now=NOW, next_cursor=cursor)


@click.command()
@record_options()
@click.option("--hostile", help="A JSON text for every cell.")
def show_command(out: Output, hostile: str | None) -> None:
    """Show a sample run."""
    text = json.loads(hostile) if hostile else "CardDeclined"
    out.record(
        [
            Section(pairs=[("id", RUNS[0]["id"]), ("created", RUNS[0]["created_at"]), ("note", "word " * 30)]),
            Section("Arguments", pairs=[(text, text)]),
            Section("Attempts", columns=COLUMNS[:4], rows=RUNS),
            Section("Nothing", pairs=[]),
            Section("Traceback", text=f"Traceback:\n\tat charge\n{text}"),
        ],
        data={**RUNS[0], "error": text},
        now=NOW,
    )


@click.command()
@click.argument("count", type=int)
@click.option("--yes", is_flag=True)
def ask_command(count: int, yes: bool) -> None:
    """Ask before acting."""
    confirm(count, "replay", yes=yes)
    click.echo("acted")


@click.command()
def bug_command() -> None:
    """Fail as a bug does."""
    raise KeyError("a\x1b[31mb")


def main() -> None:
    for name in ("list", "show", "ask", "bug"):
        COMMANDS[f"sample-{name}"] = Entry(f"{__name__}:{name}_command", f"Sample {name}.")
    sys.argv[0] = os.environ.get("SAMPLE_ARGV0", "jobledger")
    from admin_cli.main import main as program

    program()


if __name__ == "__main__":
    main()
