"""Runs that start when other runs have ended."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, Index

from jobs.database.models.table_class import Base, Mapped, column
from jobs.database.models.types import Id, Number, Words


class JobParent(Base):
    """A run that another one waits for: ``run_id`` starts when all its parents have ended.

    ``on_dead`` is what happens to it when this parent does not succeed; ``position`` is the parent's place in
    ``after=``.
    """

    __tablename__ = "job_parents"

    run_id: Mapped[UUID] = column(Id, primary_key=True)
    parent_id: Mapped[UUID] = column(Id, primary_key=True)
    position: Mapped[int] = column(Number)
    on_dead: Mapped[str] = column(Words(6))

    __table_args__ = (
        CheckConstraint("on_dead in ('cancel', 'hold', 'run')", name="on_dead"),
        # ledger/batches/parents.py: the runs that wait for one that ends.
        Index("ix_job_parents_parent", "parent_id"),
    )
