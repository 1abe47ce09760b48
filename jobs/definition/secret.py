"""Marks arguments that hold a secret or personal data: ``Secret[str]``, and the class option ``redact``.

Both mark the property as ``writeOnly`` in the published JSON schema, the standard's word for it. The ledger stores such
an argument as any other; a bundle that leaves the ledger has it hidden.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import Field

T = TypeVar("T")

WRITE_ONLY = "writeOnly"

Secret = Annotated[T, Field(json_schema_extra={WRITE_ONLY: True})]
"""The type of a secret argument: ``password: Secret[str]``. In ``perform`` it is a plain ``str``."""


def mark_redacted(schema: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The schema of a job's arguments with these properties marked."""
    if not names:
        return schema
    properties = {
        name: {**told, WRITE_ONLY: True} if name in names and isinstance(told, dict) else told
        for name, told in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}
