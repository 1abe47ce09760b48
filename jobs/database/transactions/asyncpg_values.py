"""SQLAlchemy's dialect of asyncpg for an application's connection, whatever codecs that has for its types.

A codec of the application decides what asyncpg takes and returns for ``json`` or ``uuid``. So our values go as text,
which the server casts, and ids that come back as text are read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, DateTime, Dialect, Uuid
from sqlalchemy.dialects.postgresql import asyncpg

from jobs.database.models import read_json

_Base: Any = asyncpg.PGDialect_asyncpg
_BaseCompiler: Any = asyncpg.PGCompiler_asyncpg
_BaseCursor: Any = asyncpg.AsyncAdapt_asyncpg_cursor
_BaseUuid: Any = _Base.colspecs[Uuid]
_AS_TEXT = (JSON, DateTime, Uuid)


class ValuesCursor(_BaseCursor):  # type: ignore[misc]
    """Sends moments and ids as the text that ``_Compiler`` casts."""

    async def _prepare_and_execute(self, operation: Any, parameters: Any) -> None:
        await super()._prepare_and_execute(operation, [_text(one) for one in parameters or ()])

    async def _executemany(self, operation: Any, seq_of_parameters: Any) -> Any:
        return await super()._executemany(operation, [[_text(one) for one in row] for row in seq_of_parameters])


def make_dialect() -> Dialect:
    return _Dialect(dbapi=_Dialect.import_dbapi(), json_deserializer=read_json)


def _text(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


class _Compiler(_BaseCompiler):  # type: ignore[misc]
    def render_bind_cast(self, type_: Any, dbapi_type: Any, sqltext: str) -> str:
        if isinstance(dbapi_type, _AS_TEXT):
            sqltext = f"{sqltext}::TEXT"
        rendered: str = super().render_bind_cast(type_, dbapi_type, sqltext)
        return rendered


class _Uuid(_BaseUuid):  # type: ignore[misc]
    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        return lambda value: UUID(value) if isinstance(value, str) else value


class _Dialect(_Base):  # type: ignore[misc]
    supports_statement_cache = True
    statement_compiler = _Compiler
    colspecs = _Base.colspecs | {Uuid: _Uuid}
