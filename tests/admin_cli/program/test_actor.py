"""The operator's name that the audit stores."""

from __future__ import annotations

import os

import pytest

from admin_cli.program.actor import this_operator


# K2.18
@pytest.mark.parametrize(
    ("given", "name"),
    [(b"ann", "ann"), (b"J\xc3\xb6rg", "J\u00f6rg"), (b"J\xf6rg", "J\\xf6rg"), (b"\xff\xfe", "\\xff\\xfe")],
)
def test_a_name_that_is_no_utf_8_is_kept_in_a_form_that_a_database_takes(
    given: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_ACTOR", os.fsdecode(given))

    assert this_operator().name == name
    assert this_operator().name.encode().decode() == name
