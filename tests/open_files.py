"""What this process has open."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")


def opened_in(folder: Path) -> list[str]:
    """The files of ``folder`` that are open, by path; what is closed meanwhile is left out."""
    found = []
    for one in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(one.readlink()))
    return [one for one in found if one.startswith(str(folder))]
