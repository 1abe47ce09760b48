"""kill -9 at every fault point of gather and wait_for: no child twice, none missing, no signal lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from jobs.database.models import JobBatch, JobRun
from jobs.ledger.batches.find import broken_counts
from jobs.ledger.effects.signals import send_signal
from jobs.runtime.fault_points import POINTS
from tests.worker.live import live_worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

APP = """
import os, pathlib, signal
from jobs.runtime import fault_points, gather

gather.CHUNK = 7
KILLED = pathlib.Path(__file__).parent / "killed"

def kill(point):
    # Each process dies at the first point that no process has died at yet; the third chunk of the children.
    mark, count = KILLED / point, getattr(kill, point, 0) + 1
    setattr(kill, point, count)
    if count == (3 if point == "gather:children" else 1):
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

fault_points.on_reached = kill

class Leaf(Job):
    n: int
    def perform(self):
        return self.n

class Tree(Job):
    depth: int
    width: int
    def perform(self):
        if self.depth == 1:
            return sum(self.run.gather("leaves", [Leaf(n=n) for n in range(self.width)]))
        below = [Tree(depth=self.depth - 1, width=self.width) for _ in range(3)]
        answer = self.run.wait_for("go") if self.depth == 3 else 0
        return answer + sum(self.run.gather("below", below))
"""


def test_a_process_is_killed_at_each_point(tmp_path: Path, pg_database: str) -> None:
    (tmp_path / "killed").mkdir()
    with live_worker(tmp_path, app=APP, url=pg_database, lease="3s", poison_after=50) as worker:
        (tree,) = worker.enqueue("Tree", depth=3, width=30)
        database = worker.ledger.database
        worker.wait_for(lambda: worker.run(tree).held_on == "signal:go", "the tree waiting")
        with database.write() as connection:
            sent = send_signal(connection, tree, "go", "1000", sent_by="test")
            database.send_notify(connection)
        assert sent is not None
        assert sent.is_new

        states = worker.wait_until_final([tree], seconds=150)

        assert (states, worker.run(tree).result) == ({"succeeded": 1}, 1000 + 9 * sum(range(30)))
        assert {one.name for one in (tmp_path / "killed").iterdir()} == set(POINTS)
        with database.read() as connection:
            kinds = dict(connection.execute(select(JobRun.kind, func.count()).group_by(JobRun.kind)).all())
            ended = connection.scalar(select(func.count()).where(JobBatch.ended_at.is_not(None)))
            assert list(broken_counts(connection)) == []
        assert kinds == {"Tree": 1 + 3 + 9, "Leaf": 9 * 30}
        assert ended == 1 + 3 + 9
