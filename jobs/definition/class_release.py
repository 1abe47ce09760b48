"""The release of each job class of this process, for comparison with other workers and with stored arguments."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobs.definition import registry


@dataclass(frozen=True, slots=True)
class ClassRelease:
    """What a worker publishes of a job's class: its version, and hashes of its argument schema and its source file."""

    version: int
    schema: str
    source: str

    def __str__(self) -> str:
        """``version:schema:source``, as workers store it; two classes with the same text read the same arguments."""
        return f"{self.version}:{self.schema}:{self.source}"


def codes() -> dict[str, str]:
    """The release of every kind that this process knows, by each name that runs may have."""
    return {name: code_of(registry.get(name)) for name in registry.names()}


def codes_and_timeouts() -> dict[str, tuple[str, float | None]]:
    """The release of every kind, as ``codes``, and its soft time limit in seconds; None is no limit."""
    found = {}
    for name in registry.names():
        cls: Any = registry.get(name)
        timeout = cls.options.timeout
        found[name] = (code_of(cls), timeout.total_seconds() if timeout is not None else None)
    return found


def code_of(cls: Any) -> str:
    """The release of a job's class as text."""
    return str(release_of(cls))


@lru_cache(maxsize=4096)
def release_of(cls: Any) -> ClassRelease:
    """The release of a job's class; the hashes have twelve hexadecimal digits."""
    try:
        schema = json.dumps(cls.model_json_schema(), sort_keys=True, default=str)
    except Exception:  # A field's type has no JSON schema: hash the fields as they are written.
        schema = repr({name: str(field) for name, field in cls.model_fields.items()})
    return ClassRelease(cls.options.version, _hash(schema.encode(errors="replace")), _source_of(cls.__module__))


def read_release(text: object) -> ClassRelease | None:
    """The release that a worker published; None for one of an earlier jobledger, which tells no version."""
    parts = text.split(":") if isinstance(text, str) else []
    if len(parts) != 3 or not parts[0].isdecimal():
        return None
    return ClassRelease(int(parts[0]), parts[1], parts[2])


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=6).hexdigest()


@lru_cache(maxsize=4096)
def _source_of(module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        return _hash(Path(file).read_bytes()) if file else ""
    except OSError:
        return ""
