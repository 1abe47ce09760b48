"""docs/architecture.md against the code: its drawings, and each file and name that it points to. L, "Must show"."""

from __future__ import annotations

import re

import pytest

from jobs.states import MOVES
from tests.architecture import PAGE, ROOT, VERBS, drawn
from tests.docs.pointers import FILE, NAMED, faults

TEXT = PAGE.read_text(encoding="utf-8")
QUESTIONS = TEXT.partition("## A stranger's ten questions")[2]
THREAD = re.compile(r"jobs-[a-z-]+")


def sources(*folders: str) -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))
    )


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
