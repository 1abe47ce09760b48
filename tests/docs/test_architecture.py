"""docs/architecture.md against the code: its drawings, and each file and name that it points to. L, "Must show"."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from jobs.states import MOVES
from tests.architecture import PAGE, ROOT, VERBS, drawn

TEXT = PAGE.read_text(encoding="utf-8")
QUESTIONS = TEXT.partition("## A stranger's ten questions")[2]
FILE = re.compile(r"[\w./-]+/[\w.-]+\.(?:py|md|toml)")
NAMED = re.compile(r"`([A-Za-z_]\w*)` in\s+`([\w./-]+\.py)`")
THREAD = re.compile(r"jobs-[a-z-]+")


def names_in(path: Path) -> set[str]:
    """Everything that a module defines: functions, classes, methods, and what is assigned to a name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    return found | {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def sources(*folders: str) -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))
    )


def faults(text: str) -> list[str]:
    """The files of a page that do not exist, and its names that their file does not define."""
    found = [path for path in sorted(set(FILE.findall(text))) if not (ROOT / path).is_file()]
    folders = {code for code in re.findall(r"`([a-z_]+(?:/[a-z_]+)*/?)`", text) if "/" in code}
    found += [folder for folder in sorted(folders) if not (ROOT / folder).is_dir()]
    for name, path in NAMED.findall(text):
        if (ROOT / path).is_file() and name not in names_in(ROOT / path):
            found.append(f"{name} in {path}")
    return found


def test_each_file_and_each_name_of_the_page_exists() -> None:
    assert len(set(FILE.findall(TEXT))) > 40
    assert len(NAMED.findall(TEXT)) > 40
    assert faults(TEXT) == []


@pytest.mark.parametrize(
    "text",
    ["`jobs/no_such.py`", "`jobs/nowhere/`", "`no_such_name` in `jobs/states.py`", '["x<br/>worker/no_such.py"]'],
)
def test_what_does_not_exist_is_found(text: str) -> None:
    assert len(faults(text)) == 1


def test_ten_questions_are_answered_each_with_a_file_and_a_name() -> None:
    answers = re.split(r"^\d+\. ", QUESTIONS, flags=re.MULTILINE)[1:]

    assert len(answers) == 10
    assert all(answer.startswith("**") and "?**" in answer for answer in answers)
    assert [answer for answer in answers if not NAMED.search(answer) or not FILE.search(answer)] == []


def test_the_generated_drawings_are_those_of_the_code() -> None:
    assert set(VERBS) == {(old, new) for old, all_new in MOVES.items() for new in all_new}
    assert drawn(TEXT) == TEXT, "Draw them again: python -m tests.architecture"


def test_each_thread_of_ours_is_on_the_page_and_no_other() -> None:
    named = set(re.findall(r'name="(jobs-[a-z-]+)"', sources("jobs", "worker")))

    assert len(named) > 10
    assert set(THREAD.findall(TEXT)) == named


def test_the_messages_on_the_page_are_those_that_the_processes_send() -> None:
    code = sources("worker")
    sent = set(re.findall(r'\b(?:do|say)="(\w+)"', code)) | set(re.findall(r'"(?:do|say)": "(\w+)"\}', code))
    sent |= set(re.findall(r'json\.dumps\(\{"do": "(\w+)"', code))
    drawing = TEXT.partition("sequenceDiagram")[2].partition("```")[0]

    assert sent
    assert {word for word in sent if not re.search(rf"\b{word}\b", drawing)} == set()
