"""docs/django.md: its blocks are run, its table names tests that exist, and its ids are those of the checks."""

from __future__ import annotations

import ast
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import jobs
from jobs.testing import Ledger
from tests.jobs.django.conftest import (  # noqa: F401
    _project,
    django_postgresql,
    django_sqlite,
    performing,
    project,
    use_database,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "django.md").read_text()


@pytest.fixture
def project_url(django_sqlite: Path, tmp_path: Path) -> str:  # noqa: F811
    import shutil

    return f"sqlite:///{shutil.copy(django_sqlite, tmp_path / 'project.db')}"


def block(name: str) -> str:
    found = re.search(rf"<!-- block: {name} -->\n\n```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found, name
    return found[1]


def run_block(name: str, module: str, **world: Any) -> dict[str, Any]:
    made = types.ModuleType(module)
    made.__dict__.update(world)
    sys.modules[module] = made
    exec(compile(block(name), module, "exec", dont_inherit=True), made.__dict__)
    return made.__dict__


def test_the_settings_are_valid(project: str) -> None:  # noqa: F811
    from django.core.management import call_command
    from django.test import override_settings

    from jobs.settings import Settings

    said = run_block("settings", "docs_settings")
    with override_settings(JOBS=said["JOBS"], TASKS=said["TASKS"]):
        call_command("check", databases=["default"], fail_level="WARNING")
        assert Settings.read().threads == 4


def test_the_tasks_do_what_the_page_says(project: str, performing: Ledger) -> None:  # noqa: F811
    from django.test import override_settings

    try:
        with override_settings(TASKS=run_block("settings", "docs_settings")["TASKS"]):
            tasks = run_block("tasks", "docs_tasks")
            receipt = tasks["place"](7)
            first, again = tasks["ship"].enqueue(7), tasks["ship"].enqueue(7)
            with pytest.raises(jobs.KeyConflict):
                tasks["ship"].enqueue(7, express=True)
            performing.drain()
            receipt.refresh()
    finally:
        del sys.modules["docs_tasks"], sys.modules["docs_settings"]

    assert receipt.return_value == "receipt of 7"
    assert again.id == first.id
    assert {one.kind: one.result for one in performing.runs()}["docs_tasks.charge"] == [7, 1]


def test_the_options_are_valid(project: str) -> None:  # noqa: F811
    from django.core.management import call_command
    from django.test import override_settings

    with override_settings(TASKS=run_block("options", "docs_options")["TASKS"]):
        call_command("check", fail_level="WARNING")
    del sys.modules["docs_options"]


def test_the_test_cases_pass(project: str, performing: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    import unittest

    from django.core import mail
    from django.db import connection
    from django.test import override_settings

    from jobs.django.task_job import class_of

    monkeypatch.setattr(mail, "outbox", [], raising=False)
    monkeypatch.setitem(connection.settings_dict["TEST"], "NAME", connection.settings_dict["NAME"])
    try:
        with override_settings(TASKS=run_block("settings", "docs_settings")["TASKS"]):
            tasks = run_block("tasks", "docs_tasks")
            world = {"charge": tasks["charge"], "send_receipt": tasks["send_receipt"], "class_of": class_of}
            made = run_block("tests", "docs_tests", **world)
            cases = [made[name] for name in ("OrderTests", "ImmediateTests")]
            loader = unittest.defaultTestLoader
            suite = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in cases)
            result = unittest.TestResult()
            suite.run(result)
    finally:
        for name in ("docs_tasks", "docs_settings", "docs_tests"):
            sys.modules.pop(name, None)

    assert (result.testsRun, result.errors, result.failures) == (2, [], [])


def test_the_hook_is_entered(project: str, performing: Ledger) -> None:  # noqa: F811
    from django.utils import translation

    class Greets(jobs.Job):
        def perform(self) -> Any:
            return translation.get_language()

    hook = run_block("hook", "docs_hook")["with_locale"]
    try:
        assert performing.perform(Greets()).run.result == "de"
    finally:
        jobs.run_hooks.remove(hook)
        del sys.modules["docs_hook"]


def test_each_point_of_the_contract_has_a_test() -> None:
    files = sorted((ROOT / "tests" / "jobs" / "django" / "backend").glob("test_*.py"))
    tests = [node for file in files for node in ast.parse(file.read_text()).body]
    names = {node.name for node in tests if isinstance(node, ast.FunctionDef)}
    table = PAGE.partition("## The contract")[2].partition("\n- ")[0]

    points = re.findall(r"^\| .* \| `(\w+)` \|$", table, re.MULTILINE)

    assert len(points) == 25
    assert set(points) <= names


def test_the_page_lists_every_permission(project: str) -> None:  # noqa: F811
    from jobs.django.models import Run
    from jobs.django.permissions import PERMISSIONS

    table = PAGE.partition("| permission | allows |")[2].partition("\n\n")[0]

    named = {f"jobledger.{one}" for one in re.findall(r"`(?:jobledger\.)?(\w+)`", table)}
    assert named == set(PERMISSIONS)
    assert named == {f"jobledger.{name}" for name in ("view_run", *dict(Run._meta.permissions))}


def test_the_page_lists_every_check() -> None:
    source = (ROOT / "jobs" / "django" / "backend_checks.py").read_text()

    assert sorted(re.findall(r"^\| `(jobs\.[EW]\d+)`", PAGE, re.MULTILINE)) == sorted(re.findall(r'id="(.*?)"', source))
