"""Classes of tables: read like mapped classes, and without the ORM."""

from __future__ import annotations

import subprocess
import sys

from sqlalchemy import select, update

from jobs.database.models import JobBatch, JobRun, aliased


def test_a_worker_s_process_imports_no_orm():
    code = "import sys, worker.process.process, scheduler.main; sys.exit('sqlalchemy.orm' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_class_stands_for_its_table_and_an_alias_for_the_same_table_again():
    other = aliased(JobRun)
    read = select(other.id).join(JobRun, JobRun.parent_id == other.id).where(other.kind == "Mail")
    changed = update(JobBatch).where(JobBatch.id == other.batch_id).values(total=1)

    assert str(read).split("\n")[1:] == [
        "FROM job_runs AS job_runs_1 JOIN job_runs ON job_runs.parent_id = job_runs_1.id ",
        "WHERE job_runs_1.kind = :kind_1",
    ]
    assert "UPDATE job_batches SET total=:total FROM job_runs AS job_runs_1" in str(changed)


def test_a_column_may_be_null_where_its_annotation_says_so():
    columns = JobBatch.__table__.columns

    assert [columns[name].nullable for name in ("id", "form", "run_id", "ended_at")] == [False, False, True, True]
