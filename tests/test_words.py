"""The vocabulary: files, classes and functions have the field's own terms, not the private words of earlier days."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.layers import PACKAGES

ROOT = Path(__file__).resolve().parent.parent

OLD_WORDS = frozenset(
    [
        "crew",
        "seat",
        "seats",
        "nursery",
        "nurseries",
        "bear",
        "bury",
        "burial",
        "buried",
        "birth",
        "born",
        "mourn",
        "orphan",
        "orphans",
        "guest",
        "bell",
        "bells",
        "intake",
        "holdings",
        "stray",
        "strays",
        "glance",
        "sleepers",
        "ticket",
        "tickets",
        "wear",
        "worn",
        "halt",
        "rehearse",
        "rehearsed",
        "rehearsal",
        "judge",
        "verdict",
        "strand",
        "strands",
        "shelf",
        "desk",
        "house",
        "workforce",
        "trouble",
        "troubles",
        "visible",
        "beside",
        "census",
        "paper",
        "duty",
        "duties",
        "seam",
        "strangers",
        "told",
        "tell",
        "tells",
        "said",
        "says",
        "hear",
        "hears",
        "heard",
        "note",
        "notes",
        "noted",
        "obey",
        "attend",
        "reckon",
        "hurry",
        "patience",
        "patiently",
        "mend",
        "lively",
        "lately",
        "crowd",
        "calm",
        "burials",
        "pulse",
        "spokesman",
        "worthless",
        "dawdle",
        "mood",
        "moods",
        "luck",
        "ring",
        "sleeper",
        "ending",
        "endings",
        "shelves",
        "figures",
        "door",
        "doors",
        "wants",
        "tries",
    ]
)
"""Words that stood for process group, slot, child spawner, dead process, wakeup, fetcher, log, audit and so on."""

OLD_NAMES = frozenset(
    [
        "End",
        "Ending",
        "Settled",
        "member",
        "marks",
        "starts",
        "bare_places",
        "walk",
        "hand_on",
        "follow",
        "front",
        "keep",
        "kept",
        "letters",
        "terms",
        "words",
        "unserved",
        "block",
        "Block",
        "family",
        "say",
    ]
)
"""Names of old whose words are good in other names."""

ALLOWED = {
    "jobs/observe/catalogue.py": {"family"},  # A metric family, as Prometheus calls it.
    "admin_api/pages/frame/run_query.py": {"terms"},  # The terms of a search.
}


def words(name: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", name)}


def names(path: Path) -> Iterator[str]:
    """The file's own name, and those of its classes, functions and constants."""
    yield path.stem
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
    for statement in tree.body:
        if isinstance(statement, (ast.Assign, ast.AnnAssign)):
            yield from (one.id for one in ast.walk(statement) if isinstance(one, ast.Name) and _is_stored(one))


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_class_function_or_constant_has_a_word_of_the_private_vocabulary(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in names(path)
        if words(name) & OLD_WORDS or (name in OLD_NAMES and name not in ALLOWED.get(str(path.relative_to(ROOT)), ()))
    ]

    assert found == []


LOG_METHODS = frozenset(["debug", "info", "warning", "error", "exception", "critical", "log"])


def loggers(tree: ast.AST) -> set[str]:
    """The names that hold a logger: assigned from ``getLogger``, or with "log" in them."""
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    made = {
        ast.unparse(target)
        for node in assigned
        for target in node.targets
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func).endswith("getLogger")
    }
    used = {
        ast.unparse(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in LOG_METHODS
    }
    return made | {name for name in used if re.fullmatch(r"(self\.)?_?\w*log(ger)?", name)}


def log_events(path: Path) -> Iterator[str]:
    """Every text in the event of a call of a logger; ``log(level, event)`` has it second."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = loggers(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if node.func.attr in LOG_METHODS and ast.unparse(node.func.value) in known:
            for part in ast.walk(node.args[1 if node.func.attr == "log" else 0]):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value


@pytest.mark.parametrize("package", ["jobs", "worker", "scheduler", "admin_api"])
def test_a_log_event_is_a_phrase_with_a_capital_and_no_full_stop(package: str) -> None:
    found = [event for path in sorted((ROOT / package).rglob("*.py")) for event in log_events(path)]

    assert found
    assert [event for event in found if event.endswith(".") or not event[0].isupper()] == []


def test_a_planted_word_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "crew.py"
    planted.write_text(
        "MAX_TOLD = 3\nclass ZygoteNursery: ...\ndef fill_seats(): ...\ndef spawn(): ...\nMAX_SHOWN: int = 3\n"
    )

    found = [name for name in names(planted) if words(name) & OLD_WORDS]

    assert found == ["crew", "ZygoteNursery", "fill_seats", "MAX_TOLD"]
