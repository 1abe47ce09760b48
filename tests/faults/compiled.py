"""Faults that need C code, compiled when a test needs them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def compile_shared(source: Path, library: Path) -> Path:
    """Make a shared library of one C file; the test is skipped where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler (cc or gcc) was found: this fault is made in C")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library
