"""A statement in the form that a prepared statement takes: numbered parameters, written in the binary format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.types import TypeEngine

from jobs.database import sql
from jobs.database.binary_values import Write, writer_of
from jobs.database.postgres.numbered import numbered


@dataclass(frozen=True, slots=True)
class BinaryForm:
    """``text`` has ``$1``, ``$2``, … where psycopg's has ``%(name)s``; ``writers`` are in that order."""

    text: str
    writers: Sequence[tuple[str, Write]]

    @classmethod
    def of(cls, text: str, kinds: Mapping[str, TypeEngine[Any]]) -> BinaryForm | None:
        """The form of a statement in psycopg's style; None if a parameter has a type without a binary form of ours.

        Args:
            kinds: the type of each parameter. The statement must give PostgreSQL the same one, by a cast say.
        """
        writers = [(name, write) for name, kind in kinds.items() if (write := writer_of(kind)) is not None]
        if len(writers) < len(kinds):
            return None
        return cls(numbered(text, kinds), writers)

    def parameters(self, given: Mapping[str, Any]) -> list[bytes | None] | None:
        """The values of ``given``; None if one of them cannot be written, which the driver then says in its words."""
        if sql.pins and given.get("now") is None:
            given = {**given, "now": sql.pins[-1]()}
        try:
            return [None if (value := given.get(name)) is None else write(value) for name, write in self.writers]
        except Exception:
            return None
