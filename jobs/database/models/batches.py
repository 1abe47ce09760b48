"""Batches: runs that belong together, counted until the last has ended."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, false
from sqlalchemy.sql import text

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Flag, Id, Number, SmallNumber, UtcDateTime, Words

LISTED = "form = 'batch'"
OF_A_RUN = "run_id is not null"
INNER = "parent_id is not null"


class JobBatch(Base):
    """A batch that an application opened, or the children of one ``gather``.

    ``pending`` is the number of members and inner batches that have not ended; ``dead`` and ``cancelled`` count those
    that are dead or cancelled now. They are caches of the members' states, written in the transactions that move them.
    ``run_id`` is the run that opened it; of a gather, the run that waits. ``depth`` is the number of batches around it:
    rows are locked from the deepest up, then by id.
    """

    __tablename__ = "job_batches"

    id: Mapped[UUID] = column(Id, primary_key=True)
    form: Mapped[str] = column(Words(8))
    name: Mapped[str] = column(Words(200))
    run_id: Mapped[UUID | None] = column(Id)
    parent_id: Mapped[UUID | None] = column(Id)
    depth: Mapped[int] = column(SmallNumber, default=0)
    generation: Mapped[int] = column(Number, default=1)
    total: Mapped[int] = column(Number, default=0)
    pending: Mapped[int] = column(Number, default=0)
    dead: Mapped[int] = column(Number, default=0)
    cancelled: Mapped[int] = column(Number, default=0)
    has_callbacks: Mapped[bool] = column(Flag, server_default=false())
    created_at: Mapped[datetime] = column(UtcDateTime)
    sealed_at: Mapped[datetime | None] = column(UtcDateTime)
    ended_at: Mapped[datetime | None] = column(UtcDateTime)
    cancelled_at: Mapped[datetime | None] = column(UtcDateTime)
    recounted_at: Mapped[datetime | None] = column(UtcDateTime)
    enqueued_by: Mapped[str | None] = column(Words(200))
    correlation_id: Mapped[str | None] = column(Words(100))

    __table_args__ = (
        CheckConstraint("form in ('batch', 'gather')", name="form"),
        CheckConstraint("pending >= 0 and pending <= total and generation > 0", name="counts"),
        CheckConstraint("ended_at is null or (pending = 0 and sealed_at is not null)", name="ended_when_none_is_left"),
        # ledger/batches/find.py: batches of applications, the latest first.
        Index("ix_job_batches_listed", "id", postgresql_where=text(LISTED), sqlite_where=text(LISTED)),
        # ledger/batches/prune.py: those of runs that are deleted.
        Index("ix_job_batches_run", "run_id", postgresql_where=text(OF_A_RUN), sqlite_where=text(OF_A_RUN)),
        # ledger/batches/find.py: the inner batches of a batch.
        Index("ix_job_batches_parent", "parent_id", postgresql_where=text(INNER), sqlite_where=text(INNER)),
        # ledger/batches/prune.py: batches that ended long ago.
        Index("ix_job_batches_ended", "ended_at"),
    )
