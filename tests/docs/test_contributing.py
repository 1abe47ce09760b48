"""CONTRIBUTING.md and tests/README.md: what they point to exists, and no folder of tests is left out. L."""

from __future__ import annotations

import re

import pytest

from tests.docs.pointers import ROOT, faults

CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TESTS = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [CONTRIBUTING, TESTS], ids=["CONTRIBUTING.md", "tests/README.md"])
def test_each_file_and_each_name_of_the_page_exists(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    "step",
    [
        "Set up",
        "Run one test",
        "Run the faults",
        "Add a migration",
        "Add a setting",
        "Add a command",
        "How a change is judged",
    ],
)
def test_each_step_of_a_contributor_has_its_heading(step: str) -> None:
    assert f"\n## {step}\n" in CONTRIBUTING


def test_each_target_of_make_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)", "\n".join(re.findall(r"`[^`]+`|^    .*$", CONTRIBUTING, re.MULTILINE))))

    assert {"check", "test", "faults"} <= named
    assert {target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


def test_each_folder_of_tests_has_its_row_and_each_marker_its_meaning() -> None:
    folders = {path.parent.relative_to(ROOT).parts[1] for path in (ROOT / "tests").glob("*/**/*.py")}
    rows = set(re.findall(r"`tests/(\w+)`", "".join(line for line in TESTS.splitlines() if line.startswith("|"))))
    markers = re.findall(r'^    "(\w+): ', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)

    assert folders - rows == set()
    assert len(markers) > 3
    assert [marker for marker in markers if f"| `{marker}` |" not in TESTS] == []
