"""Detects modules of the application that have the name of one of our packages, and which one Python finds.

Imports nothing of ours: the command line loads it by path, since ``jobs`` itself may be another package.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

OURS = ("jobs", "worker", "scheduler", "admin_cli", "admin_api")
_OUR_FOLDER = Path(__file__).resolve().parent.parent


def shadow_of(name: str) -> str | None:
    """Which module Python finds instead of our package, and what to do; None if Python finds ours."""
    try:
        spec = find_spec(name)
    except ValueError:  # A module of this name is in sys.modules without an origin.
        return f"Python has a module {name!r} that is not ours. Rename it."
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    found = [Path(one) for one in places if one and os.sep in one]
    if spec is not None and any(_is_within_our_folder(one, name) for one in found):
        return None
    if not found:
        return f"Our package {name!r} is not where it was installed ({_OUR_FOLDER / name}). Install jobledger again."
    path = found[0].parent if found[0].name == "__init__.py" else found[0]
    return f"Python finds {path} where our package {name!r} should be: {_why(path.parent)}"


def other_of(name: str) -> Path | None:
    """The application's own module or package of this name, which Python does not find because it finds ours."""
    for folder in map(Path, sys.path):
        for path in (folder / f"{name}.py", folder / name):
            if (path.is_file() or path.is_dir()) and not _is_within_our_folder(path, name):
                return path
    return None


def _is_within_our_folder(path: Path, name: str) -> bool:
    ours = _OUR_FOLDER / name
    return path.resolve() == ours or ours in path.resolve().parents


def _why(folder: Path) -> str:
    first = Path(sys.path[0] or ".").resolve() if sys.path else None
    if folder.resolve() == first and not sys.flags.safe_path:
        return (
            f"{folder} comes first on Python's path, because Python was started in it or with a script of it. "
            "Rename it, or start Python with -P."
        )
    return f"{folder} comes before ours on Python's path. Rename it, or leave that folder out of PYTHONPATH."
