"""The manifest of a bundle: what it holds, where it came from, and the hashes that prove it whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict

FORMAT = 1
"""The version of the file format. A release opens its own format and earlier ones."""
MANIFEST, LEDGER = "manifest.json", "ledger.db"
MAX_MANIFEST = 4 * 2**20
BLOCK = 2**20


class Member(BaseModel):
    """A file in the bundle."""

    model_config = ConfigDict(frozen=True, strict=True)

    sha256: str
    bytes: int


class Manifest(BaseModel):
    """What a bundle says of itself.

    Attributes:
        revision: of the tables in it; ``dialect`` is that of the ledger that it was made from.
        settings: those of the process that made it, as ``config show`` prints them, with secrets hidden.
        arguments: ``redacted`` (by what kinds declare), ``hidden`` (all of them) or ``full``.
        runs: the runs that were asked for; ``related`` more go with them. ``is_cut``: more runs matched.
        tables: rows in each table.
        stored: ``values`` and ``bytes`` of the stored values whose content is in the bundle, and how many were
            ``left_out``: by default those after the first 64 MB. Empty unless ``arguments`` is ``full``.
    """

    model_config = ConfigDict(frozen=True)

    format: int
    made_at: datetime
    made_by: str
    jobledger: str
    python: str
    revision: str
    dialect: str
    arguments: str
    selector: dict[str, Any]
    runs: int
    related: int
    is_cut: bool
    settings: dict[str, str]
    tables: dict[str, int]
    stored: dict[str, int] = {}
    members: dict[str, Member]


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """The content of a file, a block at a time."""
    while block := file.read(BLOCK):
        yield block


def member_of(path: Path) -> Member:
    """The hash and the size of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in blocks(file):
            digest.update(block)
    return Member(sha256=digest.hexdigest(), bytes=path.stat().st_size)


def comment_of(manifest: bytes) -> bytes:
    """The comment of the zip file: it names the format and proves the manifest whole."""
    return f"jobledger bundle {FORMAT} sha256:{hashlib.sha256(manifest).hexdigest()}".encode()
