"""Reads the planted breaks: small wrong changes to the code, each with tests that must fail when it is made."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One break: ``old`` stands once in ``file`` and becomes ``new``; one of ``tests`` (pytest's names) must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def problem(self, root: Path = ROOT) -> str | None:
        """Why this break cannot be planted, or None."""
        path = root / self.file
        if not path.is_file():
            return f"there is no file {self.file}"
        count = path.read_text(encoding="utf-8").count(self.old)
        if count != 1:
            return f"its old text stands {count} times in {self.file}, not once"
        if self.old == self.new:
            return "its new text is the old text"
        missing = [one for one in self.tests if not (root / one.partition("::")[0]).exists()]
        if missing or not self.tests:
            return f"its tests are missing: {', '.join(missing) or 'it names none'}"
        return None


def read_breaks(folder: Path = FOLDER) -> list[Break]:
    """All breaks, by file and in the order in which they are written.

    Raises:
        ValueError: two breaks have one name.
    """
    found: list[Break] = []
    for path in sorted(folder.glob("*.toml")):
        for row in tomllib.loads(path.read_text(encoding="utf-8"))["break"]:
            found.append(Break(**{**row, "tests": tuple(row["tests"])}))
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Breaks with one name: {', '.join(twice)}")
    return found


def read_survivors(folder: Path = FOLDER) -> set[str]:
    """The names in ``survivors.txt``: breaks that no test notices yet. What follows a ``#`` is a comment."""
    lines = (folder / "survivors.txt").read_text(encoding="utf-8").splitlines()
    return {name for line in lines if (name := line.partition("#")[0].strip())}
