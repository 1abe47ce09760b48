"""Indexes of lists, counts and series. On a large ledger they take minutes to build.

Revision: 1_0007, after 1_0006.

- ``ix_job_runs_ended_at``: lists without a kind or queue, one range a state (ledger/strands.py).
- ``ix_job_runs_ended``: without purged runs, so that counts read nothing but the index (ledger/walk.py).
- ``ix_job_runs_purged_list``: what ``restore`` finds (ledger/strands.py).
- ``ix_job_runs_replayed_from``: what was replayed from a run (ledger/lineage.py).
- ``ix_job_attempts_finished``: what ended minute by minute (ledger/series.py).
"""

from __future__ import annotations

from alembic import op

revision = "1_0007"
down_revision = "1_0006"
branch_labels = None
depends_on = None

ENDED = "finished_at is not null"
SHOWN = f"{ENDED} and deleted_at is null"
BY_NAME = ["state", "queue", "kind", "state_at", "id"]


def upgrade() -> None:
    _index("ix_job_runs_ended_at", ["state", "state_at", "id"], SHOWN)
    _index("ix_job_runs_purged_list", ["state_at", "id"], "deleted_at is not null")
    _index("ix_job_runs_replayed_from", ["replayed_from"], "replayed_from is not null")
    op.build_index("ix_job_attempts_finished", "job_attempts", ["finished_at", "outcome"])
    op.replace_index("ix_job_runs_ended", "job_runs", BY_NAME, where=SHOWN)


def downgrade() -> None:
    op.replace_index("ix_job_runs_ended", "job_runs", BY_NAME, where=ENDED)
    op.drop_index("ix_job_attempts_finished", table_name="job_attempts")
    for name in ("replayed_from", "purged_list", "ended_at"):
        op.drop_index(f"ix_job_runs_{name}", table_name="job_runs")


def _index(name: str, columns: list[str], where: str) -> None:
    op.build_index(name, "job_runs", columns, where=where)
