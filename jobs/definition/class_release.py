"""Fingerprints of the job classes of this process, for comparison with other workers."""

from __future__ import annotations

import hashlib
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobs.definition import registry


def codes() -> dict[str, str]:
    """The fingerprint of every kind that this process knows, by each name that runs may have."""
    return {name: code_of(registry.get(name)) for name in registry.names()}


@lru_cache(maxsize=4096)
def code_of(cls: Any) -> str:
    """Twelve hexadecimal digits of a job's class: a hash of its argument schema and of its source file."""
    try:
        schema = json.dumps(cls.model_json_schema(), sort_keys=True, default=str)
    except Exception:  # A field's type has no JSON schema: hash the fields as they are written.
        schema = repr({name: str(field) for name, field in cls.model_fields.items()})
    text = f"{cls.options.version}\n{schema}\n{_source_of(cls.__module__)}"
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=6).hexdigest()


@lru_cache(maxsize=4096)
def _source_of(module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        return hashlib.blake2b(Path(file).read_bytes()).hexdigest() if file else ""
    except OSError:
        return ""
