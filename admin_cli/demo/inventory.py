"""The jobs that `jobs demo` runs: an inventory of files, and three jobs that show what happens to a run."""

from __future__ import annotations

import hashlib
import os
import tokenize
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from jobs import Job, Retry

SOON = Retry(max_attempts=3, first=timedelta(milliseconds=200))


class InspectFile(Job, kind="demo.InspectFile", queue="files"):
    """Read one file, and return its size, hash and type."""

    path: str

    def perform(self) -> dict[str, Any]:
        path = path_of(self.path)
        data = path.read_bytes()
        lines = data.splitlines()
        return {
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "lines": len(lines),
            "longest_line": max(map(len, lines), default=0),
            "encoding": detect_encoding(path, data),
        }


class FailTwice(Job, kind="demo.FailTwice", queue="files", retry=SOON):
    """Fails twice, and succeeds at the third attempt."""

    def perform(self) -> str:
        if self.run.attempt < 3:
            raise ConnectionError(f"the network is away (attempt {self.run.attempt})")
        return "worked"


class AlwaysFail(Job, kind="demo.AlwaysFail", queue="files", retry=SOON):
    """Always fails: ends as a dead letter."""

    def perform(self) -> None:
        raise ValueError("this job always fails")


class DueLater(Job, kind="demo.DueLater", queue="files"):
    """Runs after a delay."""

    def perform(self) -> str:
        return "in its time"


def name_of(path: str) -> str:
    """A path as a JSON argument: the path itself, or a file: URL if its bytes are not text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return Path(path).as_uri()
    return path


def path_of(name: str) -> Path:
    """The path that ``name_of`` encoded."""
    return Path(os.fsdecode(unquote_to_bytes(name.removeprefix("file://"))) if name.startswith("file://") else name)


def detect_encoding(path: Path, data: bytes) -> str:
    """The file type, by name or first bytes; else ``binary``."""
    if b"\0" in data[:8192]:
        return "binary"
    if path.suffix in (".py", ".pyi"):
        try:
            with path.open("rb") as file:
                return tokenize.detect_encoding(file.readline)[0]
        except SyntaxError:
            return "unknown"
    for encoding in ("ascii", "utf-8"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "unknown"
