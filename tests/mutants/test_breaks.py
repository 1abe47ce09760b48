"""The list of planted breaks fits the code, and planting one says what became of it. ``make mutants`` runs the list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutants import planting
from tests.mutants.breaks import Break, read_breaks, read_survivors
from tests.mutants.planting import KILLED, SURVIVED, UNCLEAR, Copy

MOST_SURVIVORS = 0
"""Lines of ``survivors.txt``. Only ever made smaller."""
FEW_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_timeout"}
"""To import the others takes longer than these tests do."""
SIMPLE = Break(name="one", file="code.py", old="n + 1", new="n + 2", tests=("test_code.py",))


@pytest.mark.parametrize("planted", read_breaks(), ids=lambda planted: planted.name)
def test_each_break_can_be_planted(planted: Break) -> None:
    assert planted.problem() is None


def test_the_survivors_are_breaks_and_become_fewer() -> None:
    survivors = read_survivors()

    assert survivors <= {one.name for one in read_breaks()}
    assert len(survivors) <= MOST_SURVIVORS


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small tree in the place of ours."""
    made = tmp_path / "tree"
    made.mkdir()
    (made / "code.py").write_text("def after(n):\n    return n + 1\n\n\ndef unused():\n    return 1\n")
    (made / "test_code.py").write_text("from code import after\n\n\ndef test_after():\n    assert after(1) == 2\n")
    monkeypatch.setattr(planting, "ROOT", made)
    return made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"old": "n + 3"}, "0 times in code.py"),
        ({"old": "return"}, "2 times in code.py"),
        ({"file": "gone.py"}, "no file gone.py"),
        ({"new": "n + 1"}, "new text is the old"),
        ({"tests": ("test_gone.py::test_it",)}, "test_gone.py::test_it"),
        ({"tests": ()}, "names none"),
    ],
)
def test_a_break_that_does_not_fit_the_code_says_why(tree: Path, change: dict[str, object], said: str) -> None:
    assert SIMPLE.problem(tree) is None

    assert said in str(replace(SIMPLE, **change).problem(tree))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("planted", "outcome"),
    [
        (SIMPLE, KILLED),
        (replace(SIMPLE, old="return 1", new="return 2"), SURVIVED),
        (replace(SIMPLE, old="def after", new="def before"), UNCLEAR),
        (replace(SIMPLE, new="after(n)", tests=("test_code.py",)), KILLED),
    ],
    ids=["noticed", "not noticed", "not importable", "an error"],
)
def test_a_break_is_planted_tested_and_removed(tree: Path, tmp_path: Path, planted: Break, outcome: str) -> None:
    copy = Copy(tmp_path / "copy", FEW_PLUGINS)
    whole = (tree / "code.py").read_text()

    found, _ = copy.plant(planted, limit_seconds=60)

    assert found == outcome
    assert (copy.folder / "code.py").read_text() == whole


def test_a_break_whose_tests_do_not_end_is_noticed(tree: Path, tmp_path: Path) -> None:
    endless = replace(SIMPLE, old="return n + 1", new="while True: __import__('time').sleep(1)")

    found, why = Copy(tmp_path / "copy", FEW_PLUGINS).plant(endless, limit_seconds=3)

    assert (found, why) == (KILLED, "its tests did not end in 3 s")
