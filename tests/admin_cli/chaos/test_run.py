"""`jobledger chaos run`: what it refuses, and what it says of a broken promise."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, update

from jobs.app import App
from jobs.database.models import JobAttempt, JobRun
from jobs.ledger import workers
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import Operator
from tests.admin_cli import world
from tests.admin_cli.conftest import Program

RUN = ("chaos", "run", "--target", "staging", "--for", "4s", "--every", "1s", "--only", "kill", "--seed", "7")
LOG = '{"chaos": 1, "target": "staging", "for_seconds": 4.0}\n'


REFUSED = {
    ("--target", "staging", "--only", "flush"): "--only flush: this ledger cannot have it",
    ("--target", "staging", "--repeat", "log.jsonl", "--seed", "7"): "--repeat takes everything from the log",
    ("--target", "staging", "--log", "log.jsonl"): "log.jsonl exists",
    ("--target", "staging", "--repeat", "bad.jsonl"): "bad.jsonl is no log of a run of chaos",
    ("--target", "staging", "--repeat", "late.jsonl"): "a fault is outside its time",
    ("--target", "staging", "--for", "1s"): "from 4 seconds to 24 hours",
    ("--for", "4s"): "--target",
}


def test_what_cannot_be_run_is_refused_and_nothing_is_recorded(program: Program, app: App) -> None:
    late = {"planned": {"at": 5.0, "fault": "kill", "pick": 0.5, "stopped_seconds": 0.0}}
    (program.folder / "log.jsonl").write_text(LOG)
    (program.folder / "bad.jsonl").write_text("{}\n")
    (program.folder / "late.jsonl").write_text(LOG + json.dumps(late) + "\n")

    for args, why in REFUSED.items():
        ended = program("chaos", "run", *args)

        assert ended.code == 2, args
        assert why in ended.err.replace("\n", " ")
    assert not [one for one in list_actions(app, Operator("ada")) if one["verb"] == "chaos"]


def test_a_broken_promise_exits_6_and_names_the_run(program: Program, app: App) -> None:
    with app.database.write() as connection:
        workers.sign_off(connection, world.WORKER)
        workers.register(
            connection, "here/1/0", host=platform.node(), pid=1, version="1", queues=["mail"], kinds=["Mail"],
            threads=1, chaos="staging", process="gone",
        )  # fmt: skip
    assert program("chaos", "allow", "--target", "staging").code == 0
    with app.database.write() as connection:
        # As if it had changed during the run.
        later = datetime.now(UTC) + timedelta(hours=1)
        connection.execute(update(JobRun).where(JobRun.id == world.DEAD).values(state_at=later))
        connection.execute(delete(JobAttempt).where(JobAttempt.run_id == world.DEAD, JobAttempt.attempt == 2))

    ended = program(*RUN, "--log", "first.jsonl", "-o", "table")

    assert ended.code == 6
    assert "error: 1 of 4 promises are broken: attempts." in ended.err
    assert f"{world.DEAD} 3 attempts ended, and 2 are on record" in " ".join(ended.out.split())
    assert "runs holds: every run is final, or held and why (" in " ".join(ended.out.split())
    assert "BROKEN: every attempt is on record and explained (" in ended.out
    log = Path("first.jsonl").read_text().splitlines()
    assert {json.loads(line)["did"] for line in log[1:-1]} == {"no worker was there"}
    (action, *_) = list_actions(app, Operator("ada"))
    assert (action["verb"], action["after"]["broken"]) == ("chaos", ["attempts"])
