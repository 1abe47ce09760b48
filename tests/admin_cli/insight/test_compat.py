"""`jobledger compat`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from jobs.app import App
from jobs.definition import registry
from tests.admin_cli.conftest import Program
from tests.book import Book


def test_a_renamed_field_exits_6_and_names_the_field_and_the_count(program: Program, app: App) -> None:
    book = Book(app.database)
    ids = [book.enqueue(kind="SendInvoice", queue="mail", arguments={"order": n}) for n in (1, 2)]

    ended = program("compat", "--import", "shop.jobs", "--kind", "Send*", "-o", "json")

    assert ended.code == 6
    assert "SendInvoice: 2 of 4 waiting runs checked do not fit (order_id)" in ended.err
    told = json.loads(ended.out)
    (row,) = told["data"]
    assert (row["field"], row["misfits"], row["number"], row["example"]) == ("order_id", 2, 4, str(ids[0]))
    assert told["meta"]["breaks"] is True


def test_code_that_fits_exits_0_and_a_table_fits_80_columns(program: Program) -> None:
    ended = program("compat", "--import", "shop.jobs", "--kind", "Send*", "--kind", "Charge*", "-o", "table")

    assert ended.code == 0, ended.err
    assert [line.split()[0] for line in ended.lines[1:]] == ["ChargeCard", "ChargeCard", "SendInvoice"]
    assert max(map(cell_len, ended.lines)) <= 80


def test_without_the_applications_modules_it_says_how_to_name_them(
    in_shop: Callable[[App], Program], app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = in_shop(app)
    monkeypatch.setattr(registry, "_classes", {})

    ended = program("compat")

    assert ended.code == 2
    assert "--import" in ended.err
