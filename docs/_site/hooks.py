"""Hooks of the documentation site: the start page from README.md, and the reference pages from the code."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))

import reference

log = logging.getLogger("mkdocs.jobledger")
ROOT = Path(__file__).resolve().parents[2]


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from the code. An undocumented public name is a warning: strict builds fail."""
    for name in reference.undocumented():
        log.warning("The public name %s has no docstring.", name)
    pages = {f"reference/{name}.md": make() for name, make in reference.PAGES.items()}
    for uri, text in {"index.md": _start(), **pages}.items():
        files.append(File.generated(config, uri, content=text))
    return files


def _start() -> str:
    """README.md with the links of a page in docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"(\]\(|src=\")docs/", r"\1", text)
