"""The files, folders and names that a page points to, and which of them do not exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = re.compile(r"[\w./-]+/[\w.-]+\.(?:py|md|toml)")
FOLDER = re.compile(r"`([a-z_]+(?:/[a-z_]+)+/?|[a-z_]+/)`")
NAMED = re.compile(r"`([A-Za-z_]\w*)` in\s+`([\w./-]+\.py)`")


def faults(text: str) -> list[str]:
    """What a page points to, and is not there."""
    found = [path for path in sorted(set(FILE.findall(text))) if not (ROOT / path).is_file()]
    found += [folder for folder in sorted(set(FOLDER.findall(text))) if not (ROOT / folder).is_dir()]
    for name, path in NAMED.findall(text):
        if (ROOT / path).is_file() and name not in names_in(ROOT / path):
            found.append(f"{name} in {path}")
    return found


def names_in(path: Path) -> set[str]:
    """Everything that a module defines: functions, classes, methods, and what is assigned to a name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    return found | {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
