"""Plants one break in a copy of the tree, runs its tests there, and takes it out again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from tests.mutants.breaks import ROOT, Break

KILLED, SURVIVED, UNCLEAR = "killed", "survived", "unclear"
_IGNORED = shutil.ignore_patterns(".*", "__pycache__", "artifacts", "dist", "build", "*.egg-info")
_MOMENTS = count(1_000_000_000)
"""A file's time of change after each write. Python compares it with its compiled copy's, in whole seconds."""


class Copy:
    """A copy of the tree in ``folder``. Its tests use the servers that ``environment`` names."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {**os.environ, **environment, "PYTHONPATH": str(folder)}
        shutil.copytree(ROOT, folder, ignore=_IGNORED)

    def check(self) -> None:
        """Raises RuntimeError: programs started here would import another tree."""
        asked = [sys.executable, "-c", "import jobs, worker; print(jobs.__file__); print(worker.__file__)"]
        said = subprocess.run(asked, cwd="/", env=self._environment, check=True, capture_output=True, text=True).stdout
        if any(not line.startswith(str(self.folder)) for line in said.splitlines()):
            raise RuntimeError(f"A program in the copy imports {said!r}.")

    def plant(self, planted: Break, *, limit_seconds: float) -> tuple[str, str]:
        """What became of the break (KILLED, SURVIVED or UNCLEAR), and a line that says how."""
        path = self.folder / planted.file
        whole = path.read_text(encoding="utf-8")
        self._write(path, whole.replace(planted.old, planted.new))
        try:
            status, said = self.run(planted.tests, limit_seconds=limit_seconds)
        finally:
            self._write(path, whole)
        if status is None:
            return KILLED, f"its tests did not end in {limit_seconds:.0f} s"
        failed = [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        if status == 1 and failed:
            return KILLED, failed[0][:160]
        if status == 0:
            return SURVIVED, "its tests passed"
        return UNCLEAR, f"pytest ended with {status}: {' '.join(said.split())[-200:]}"

    def run(self, tests: Sequence[str], *, limit_seconds: float) -> tuple[int | None, str]:
        """pytest's exit status, None if it did not end in time, and the end of its output."""
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-rfE",
            "--tb=no",
            "-p",
            "no:cacheprovider",
            "--timeout",
            "60",
            *tests,
        ]
        process = subprocess.Popen(
            argv,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return None, ""
        return process.returncode, said

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        moment = next(_MOMENTS)
        os.utime(path, (moment, moment))
