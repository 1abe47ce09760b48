"""The layout: small folders of one idea, imports that go down only, and one place for each dependency."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from tests.layers import MOST_MODULES, PACKAGES, application_faults, faults, folders, main, modules

ROOT = Path(__file__).resolve().parent.parent


def build(folder: Path, **files: str) -> Path:
    """A small house: ``jobs__errors="import x"`` is jobs/errors.py with that text."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/").replace("INIT", "__init__") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_source_keeps_every_rule_of_the_layout() -> None:
    assert faults(ROOT) == []


def test_the_source_was_really_read() -> None:
    assert len(list(modules(ROOT, "jobs"))) > 5
    assert {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} - {"tests"} <= set(PACKAGES)


def test_every_folder_says_its_idea_in_one_sentence_and_is_small() -> None:
    found = folders(ROOT)

    assert len(found) > 20
    assert [folder.name for folder in found if not folder.idea.endswith(".")] == []
    assert [folder.name for folder in found if folder.count > MOST_MODULES] == []


MOST_LINES = 300
"""Lines of a file, its documentation included."""


def test_files_are_short() -> None:
    lines = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for package in PACKAGES
        for _, path in modules(ROOT, package)
    }

    assert [f"{name}: {count} lines" for name, count in lines.items() if count > MOST_LINES] == []
    assert median(lines.values()) <= 100


def test_the_floors_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = main(), capsys.readouterr().out

    assert code == 0, said
    assert "0 faults" in said
    assert all(folder.name in said for folder in folders(ROOT))


def test_a_folder_stands_one_floor_above_the_highest_that_it_imports(tmp_path: Path) -> None:
    house = build(
        tmp_path,
        jobs__INIT="",
        jobs__formats__INIT='"""What all use."""',
        jobs__formats__errors="",
        jobs__ledger__INIT="",
        jobs__ledger__claim="from jobs.formats import errors",
        worker__INIT="",
        worker__main="def go():\n    from jobs.ledger.claim import claim",
    )

    found = {folder.name: folder for folder in folders(house)}

    assert {name: found[name].floor for name in ("jobs.formats", "jobs.ledger", "worker")} == {
        "jobs.formats": 0, "jobs.ledger": 1, "worker": 2,
    }  # fmt: skip
    assert (found["jobs.formats"].idea, found["jobs.formats"].count) == ("What all use.", 1)


@pytest.mark.parametrize(
    "text",
    [
        "import jobs.runtime.app",
        "from jobs.runtime.app import App",
        "from jobs.runtime import app",
        "from ..runtime import app",
        "from ..runtime.app import App",
        "def late():\n    from jobs.runtime.app import App",
        "async def late():\n    import jobs.runtime.app",
        "class A:\n    import jobs.runtime.app",
        "try:\n    import jobs.runtime.app\nexcept ImportError: ...",
        "import importlib\nimportlib.import_module('jobs.runtime.app')",
        "__import__('jobs.runtime.app')",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from jobs.runtime.app import App",
    ],
)
def test_an_upward_import_is_found_however_it_is_written(tmp_path: Path, text: str) -> None:
    house = build(
        tmp_path, jobs__formats__errors=text, jobs__runtime__app="from jobs.formats import errors\nclass App: ..."
    )

    found = faults(house)

    assert len(found) == 2
    assert all("a circle of imports" in fault for fault in found)


def test_an_upward_import_of_the_public_names_is_found(tmp_path: Path) -> None:
    house = build(
        tmp_path, jobs__INIT="from jobs.formats.retry import Retry", jobs__formats__retry="from jobs import Job"
    )

    assert all("a circle of imports" in fault for fault in faults(house))
    assert len(faults(house)) == 2


def test_an_import_down_is_accepted(tmp_path: Path) -> None:
    house = build(
        tmp_path,
        jobs__formats__errors="import json",
        jobs__ledger__claim="from jobs.formats import errors\nfrom . import find",
        jobs__ledger__find="from ..formats.errors import LeaseLost",
        jobs__INIT="from jobs.formats.errors import LeaseLost",
        worker__main="import jobs\nfrom jobs.ledger.claim import claim",
    )

    assert faults(house) == []


def test_a_folder_of_too_many_modules_is_found(tmp_path: Path) -> None:
    house = build(tmp_path, **{f"jobs__formats__m{n}": "" for n in range(MOST_MODULES + 1)})

    assert faults(house) == [f"jobs.formats: {MOST_MODULES + 1} modules, and {MOST_MODULES} at most"]


@pytest.mark.parametrize(("text", "count"), [("import worker.main", 1), ("def go():\n    import worker.main", 0)])
def test_the_command_line_imports_what_it_starts_in_a_function_only(tmp_path: Path, text: str, count: int) -> None:
    assert len(faults(build(tmp_path, admin_cli__main=text, worker__main=""))) == count


@pytest.mark.parametrize(
    ("where", "late"),
    [("scheduler__main", "worker.process"), ("worker__main", "scheduler.loop"), ("jobs__enqueue", "worker.process")],
)
def test_nothing_else_imports_a_program_not_even_late(tmp_path: Path, where: str, late: str) -> None:
    house = build(tmp_path, **{where: f"def go():\n    import {late}"}, worker__process="", scheduler__loop="")

    (fault,) = faults(house)

    assert "a program is imported by what starts it only" in fault


def test_a_circle_is_found_between_modules_and_between_folders(tmp_path: Path) -> None:
    modules_in_a_circle = build(
        tmp_path / "a", jobs__ledger__a="import jobs.ledger.b", jobs__ledger__b="import jobs.ledger.a"
    )
    folders_in_a_circle = build(
        tmp_path / "b",
        jobs__ledger__a="import jobs.ready.a",
        jobs__ready__a="",
        jobs__ready__b="import jobs.ledger.b",
        jobs__ledger__b="",
    )

    assert ["circle" in fault for fault in faults(modules_in_a_circle)] == [True]
    assert ["circle" in fault for fault in faults(folders_in_a_circle)] == [True]


@pytest.mark.parametrize(
    ("where", "text", "door"),
    [
        ("jobs__enqueue__write_path", "from sqlalchemy import text", "sqlalchemy"),
        ("jobs__enqueue__write_path", "import sqlalchemy.orm as orm", "sqlalchemy"),
        ("worker__exchange__heartbeat", "import sqlite3", "sqlite3"),
        ("jobs__enqueue__write_path", "def late():\n    import redis", "redis"),
        ("worker__main", "import click", "click"),
        ("jobs__client__job", "import dramatiq", "dramatiq"),
        ("worker__main", "import sentry_sdk", "sentry_sdk"),
        ("worker__main", "from prometheus_client import Counter", "prometheus_client"),
        ("jobs__runtime__app", "from opentelemetry import trace", "opentelemetry"),
        ("jobs__runtime__app", "import os\nos.environ['X']", "os.environ"),
        ("jobs__runtime__app", "from os import environ", "os.environ"),
        ("jobs__runtime__app", "import os as o\no.getenv('X')", "os.getenv"),
        ("jobs__runtime__app", "from time import monotonic", "time"),
        ("jobs__definition__retry", "import random\nrandom.random()", "random"),
        ("jobs__definition__retry", "import random\ndef f(rng=random.Random(1)): ...", "random"),
        ("jobs__definition__retry", "from random import choice", "random"),
        ("jobs__runtime__app", "from datetime import UTC, datetime\ndatetime.now(UTC)", "datetime.datetime.now"),
        ("jobs__runtime__app", "import datetime as dt\ndt.datetime.utcnow()", "datetime.datetime.utcnow"),
        ("jobs__runtime__app", "from datetime import date as D\nD.today()", "datetime.date.today"),
        ("jobs__runtime__app", "from datetime import datetime\nnow = datetime.now", "datetime.datetime.now"),
        ("jobs__runtime__app", "from uuid import uuid4", "uuid.uuid4"),
    ],
)
def test_a_dependency_used_outside_its_place_is_found(tmp_path: Path, where: str, text: str, door: str) -> None:
    (fault,) = faults(build(tmp_path, **{where: text}))

    assert f"the door of {door} is" in fault


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (
            "jobs__enqueue__write_path",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sqlalchemy.orm import Session",
        ),
        ("jobs__ledger__runs__claim", "import sqlalchemy"),
        ("jobs__runtime__app", "from datetime import datetime, time\ndef f(clock):\n    return clock.now()"),
        ("jobs__runtime__app", "from uuid import UUID"),
        ("jobs__clock", "import time, random\nrandom.random()"),
        ("jobs__definition__retry", "import random\ndef f(rng: random.Random) -> random.Random: ..."),
        ("worker__main", "import os\nos.environ"),
    ],
)
def test_a_dependency_used_in_its_place_is_accepted(tmp_path: Path, where: str, text: str) -> None:
    assert faults(build(tmp_path, **{where: text})) == []


def test_imports_after_a_type_checking_block_are_not_taken_for_types(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import redis"

    assert len(faults(build(tmp_path, jobs__enqueue__write_path=text))) == 1


def test_examples_import_public_names_only(tmp_path: Path) -> None:
    assert application_faults(ROOT / "examples") == []

    planted = build(tmp_path, good="from jobs import Job, testing\nimport jobs.dramatiq", bad="import jobs.ledger")
    assert application_faults(planted) == ["bad.py:1: imports jobs.ledger, which is not public"]


def test_released_migrations_import_nothing_of_ours() -> None:
    ours = [
        f"{path.name}: {line}"
        for path in (ROOT / "migrations" / "versions").glob("*.py")
        for line in path.read_text().splitlines()
        if line.lstrip().startswith(tuple(f"{word} {package}" for word in ("import", "from") for package in PACKAGES))
    ]
    assert ours == []
