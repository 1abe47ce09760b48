"""A file of seal keys for tests, and a fixture with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.sealing.keys import HASH, new_key


def write_keys(folder: Path, *, hashing: str | None = None) -> Path:
    """A new file with the key ``one`` and the key of hashes, or with the line ``hashing`` for the latter."""
    path = folder / "keys"
    path.touch(mode=0o600)
    hashing = hashing or f"{HASH} {new_key()}\n"
    path.write_text(f"one {new_key()}\n{hashing}")
    return path


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return write_keys(tmp_path)
