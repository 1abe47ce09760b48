"""The documentation site: its reference pages hold what the code has, and a fault of a page fails the build. L."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import pytest

from admin_cli.main import cli
from jobs import errors
from jobs.client.job import EnqueueOptions
from jobs.observe import catalogue
from tests.docs.pointers import ROOT


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_reference", ROOT / "docs" / "_site" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_public_name_has_a_docstring(reference: ModuleType) -> None:
    assert reference.undocumented() == []


def test_a_public_name_without_a_docstring_is_found(reference: ModuleType) -> None:
    class Bare:
        def method(self) -> None: ...

    class Told:
        """It has one."""

        def method(self) -> None: ...

    module: Any = SimpleNamespace(__name__="planted", __all__=["Bare", "Told"], Bare=Bare, Told=Told)

    assert reference.undocumented([module]) == ["planted.Bare", "planted.Bare.method", "planted.Told.method"]


def test_each_public_name_is_on_its_page(reference: ModuleType) -> None:
    lines = [line for line in reference.python().splitlines() if line.startswith("::: ")]

    assert len(lines) == sum(len(module.__all__) for module in reference.PUBLIC)
    assert "::: jobs.client.job.Job" in lines
    assert "::: jobs.definition.unique.FOREVER" in lines


def test_the_page_shows_each_option_of_an_enqueue_call_with_its_type_and_description() -> None:
    griffe: Any = pytest.importorskip("griffe", reason="the extra docs is not installed")
    extension = griffe.load_extensions(str(ROOT / "docs" / "_site" / "unpacked_options.py"))
    module = griffe.load("jobs.client.job", search_paths=[str(ROOT)], extensions=extension, docstring_parser="google")

    enqueue = module["Job"]["enqueue"]
    described = {
        one.name: str(one.annotation)
        for section in enqueue.docstring.parsed
        if section.kind.value == "parameters"
        for one in section.value
    }

    assert described.keys() == {"session", "on_full", "full_timeout", *EnqueueOptions.__annotations__}
    assert described["delay"] == "timedelta | None"
    assert "after" in [parameter.name for parameter in module["Job"]["enqueue_async"].parameters]


def test_each_metric_and_each_error_code_is_on_its_page(reference: ModuleType) -> None:
    metrics, codes = reference.metrics(), reference.error_codes()
    ours = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.JobsError)]

    assert [one.name for one in catalogue.ALL if f"| `{one.name}` |" not in metrics] == []
    assert len(ours) > 20
    assert [one for one in ours if f"| `{one.code}` | `{one.__name__}` |" not in codes] == []
    assert "|  |\n" not in codes


def test_each_command_is_on_its_page(reference: ModuleType) -> None:
    page, context = reference.command_line(), click.Context(cli)
    names = [name for name in cli.list_commands(context) if not getattr(cli.get_command(context, name), "hidden", True)]

    assert len(names) > 20
    assert [name for name in names if f"### `jobledger {name}`\n" not in page] == []
    assert "#### `jobledger users create`\n" in page


def test_the_log_events_of_a_module_are_found_with_their_fields(reference: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "planted.py"
    path.write_text(
        'import logging\nlog = logging.getLogger("jobs.planted")\nother = object()\n'
        'log.info("It began", extra={"run_id": 1})\nlog.exception("It broke" if other else "It bent")\n'
        'other.info("Not ours")\n'
    )

    assert sorted(reference._events(path)) == [
        ("It began", "jobs.planted", "info", "`run_id`"),
        ("It bent", "jobs.planted", "error", ""),
        ("It broke", "jobs.planted", "error", ""),
    ]
    assert reference.log_events().count("\n| ") > 70


@pytest.mark.timeout(300)
def test_a_broken_link_fails_the_build(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed; make check builds the site")
    for name in ("docs", "mkdocs.yml", "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    page = tmp_path / "docs" / "sqlite.md"
    page.write_text(page.read_text() + "\nSee [that](no-such-page.md) and [this](jobs.md#no-such-heading).\n")

    answer = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )

    assert answer.returncode != 0
    assert "no-such-page.md" in answer.stderr
    assert "#no-such-heading" in answer.stderr


def test_make_check_builds_the_site_and_never_silences_its_warnings() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    check = makefile.partition("\ncheck:")[2].partition("\n\n")[0]
    site = next(line for line in makefile.splitlines() if line.startswith("SITE = "))

    assert "$(SITE)" in check
    assert "--strict" in site
    assert "-q" not in site
