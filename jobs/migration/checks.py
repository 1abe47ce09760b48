"""CHECKs on tables in use: an Alembic operation that reads the rows that were there before the CHECK.

A CHECK that is added NOT VALID holds for new rows at once and locks the table for a moment only. VALIDATE reads the
other rows; reads and writes go on meanwhile.
"""

from __future__ import annotations

from alembic.operations import MigrateOperation, Operations
from sqlalchemy.schema import DDL

from jobs.migration.indexes import is_plain


@Operations.register_operation("validate_check")
class ValidateCheck(MigrateOperation):
    """A CHECK whose earlier rows were not read yet. PostgreSQL only: SQLite does not know such a state."""

    def __init__(self, name: str, table: str) -> None:
        self.name, self.table = name, table

    @classmethod
    def validate_check(cls, operations: Operations, name: str, table: str) -> None:
        """Read the rows. On tables in use it commits the earlier changes, so call it first."""
        operations.invoke(cls(name, table))


@Operations.implementation_for(ValidateCheck)
def _validate_check(operations: Operations, wanted: ValidateCheck) -> None:
    context = operations.get_context()
    if context.dialect.name != "postgresql":
        return
    names = {"table": wanted.table, "name": wanted.name}
    validate = DDL("ALTER TABLE %(table)s VALIDATE CONSTRAINT %(name)s", context=names)  # type: ignore[no-untyped-call]
    if is_plain(operations):
        operations.execute(validate)
        return
    with context.autocommit_block():
        # By itself, so that its lock, which only other changes of the table wait for, ends with it.
        operations.execute(validate)
