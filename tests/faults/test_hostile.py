"""F15: hostile arguments, options, rows and ready ids: a typed refusal or a faithful return, and no stuck neighbour."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from typing import Any

import pytest
import redis
from sqlalchemy import text

import jobs
from admin_cli.main import run as command
from jobs.clock import new_run_id
from jobs.enqueue.write_path import enqueue_runs
from jobs.errors import JobsError
from jobs.ledger.records import NewRun
from tests.faults import hostile
from tests.faults.fleet import record
from tests.faults.processes import until
from tests.faults.work import Effect, Hostile

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.short]

NEIGHBOURS = 200


def test_f15_what_is_hostile_is_refused_or_comes_back_and_nothing_is_stuck(
    make_fleet, load, valkey, is_full, monkeypatch, capsys
):
    count = 20_000 if is_full else 600
    rng = random.Random(load.seed)
    fleet = make_fleet()
    refused: Counter[str] = Counter()
    sent: dict[Any, Any] = {}
    said: list[tuple[Any, dict[str, Any]]] = []

    for n in range(NEIGHBOURS // 2):
        Effect(n=n, seed=load.seed, failing=0.0).enqueue()
    for _ in range(count * 14 // 20):
        value = hostile.value(rng)
        try:
            sent[Hostile(value=value).enqueue().id] = value
        except JobsError as error:
            refused[type(error).__name__] += 1
    for n in range(count * 3 // 20):
        terms = hostile.terms(rng)
        try:
            done = Hostile(value=n).enqueue(**terms)
            said += [(done.id, terms)] if done.created else []
        except JobsError as error:
            refused[type(error).__name__] += 1
    broken = [_raw(hostile.BROKEN[n % len(hostile.BROKEN)]) for n in range(count * 2 // 20)]
    for one in broken:
        try:
            enqueue_runs(fleet.app, [one])
        except JobsError as error:
            refused[type(error).__name__] += 1
    base = f"jobs:{{ready}}:{fleet.app.database.ledger_identity()}"
    with redis.Redis.from_url(valkey.url) as client:
        for _ in range(count // 20):
            place = rng.choice(["now", "later"])
            client.zadd(f"{base}:{place}:load", {hostile.member(rng): rng.choice([0, -1e15, 1e300, "-inf"])})
    for n in range(NEIGHBOURS // 2, NEIGHBOURS):
        Effect(n=n, seed=load.seed, failing=0.0).enqueue()
    fleet.fault()

    due = "select count(*) from job_runs where state in ('queued', 'running') and queue = 'load' and run_at <= now()"
    assert until(lambda: fleet.value(due) == 0, seconds=load.within(60), every=0.1), fleet.open()
    assert fleet.value("select count(distinct n) from effects") == NEIGHBOURS
    assert fleet.value("select count(*) from effects") == NEIGHBOURS
    unfaithful = {run_id: value for run_id, value in sent.items() if not _came_back(run_id, value)}
    assert not unfaithful, [(value, jobs.find(run_id)) for run_id, value in [*unfaithful.items()][:3]]
    assert not [one for one in said if not _is_kept(fleet, *one)]
    states = dict(fleet.rows("select state, count(*) from job_runs where enqueued_by = 'raw' group by state"))
    assert set(states) <= {"dead", "succeeded"}, states
    assert (
        fleet.value("select count(*) from job_runs where state = 'dead' and cause not in ('bad_arguments', 'expired')")
        == 0
    )
    assert fleet.value("select count(*) from job_attempts where outcome in ('crashed', 'abandoned')") == 0
    failed = "select count(*) from job_attempts a join job_runs r on r.id = a.run_id where a.outcome = 'failed'"
    assert fleet.value(f"{failed} and r.cause is distinct from 'bad_arguments'") == 0
    assert "Process died" not in fleet.log.read_text(errors="replace")
    _check_terminal(fleet, rng.sample(list(sent), 5), monkeypatch, capsys)
    if load.is_timed:
        effects = fleet.value("select count(*) from effects")
        found = {"test": "F15", "seed": load.seed, "runs": count, "effects": effects, "distinct": effects}
        record(found | {"turned_away": sum(refused.values()), "returned": len(sent), "dead": states.get("dead", 0)})
    print(count, dict(refused), len(sent), len(said), states)
    assert fleet.stop() == 0


def _raw(arguments: str) -> NewRun:
    return NewRun(
        id=new_run_id(), kind="Hostile", queue="load", arguments=arguments, enqueued_by="raw", max_attempts=1
    )  # fmt: skip


def _came_back(run_id: Any, value: Any) -> bool:
    run = jobs.find(run_id)
    return str(run.state) == "succeeded" and hostile.is_same(run.result, value)


def _is_kept(fleet: Any, run_id: Any, terms: dict[str, Any]) -> bool:
    """An option that was taken is on the record as it was given."""
    with fleet.engine.connect() as connection:
        row = connection.execute(text("select * from job_runs where id = :id"), {"id": run_id}).one()
    kept = {"queue": row.queue, "key": row.key, "priority": row.priority, "tags": row.tags or []}
    return all(
        hostile.is_same(kept[name], list(dict.fromkeys(given)) if name == "tags" else given)
        for name, given in terms.items()
        if name in kept and given is not None
    )


def _check_terminal(fleet: Any, run_ids: list[Any], monkeypatch: Any, capsys: Any) -> None:
    """Output for operators contains no characters that control a terminal."""
    monkeypatch.setenv("JOBS_DATABASE_URL", fleet.settings.database_url)
    capsys.readouterr()
    for arguments in [["list", "--limit", "300"], *(["show", str(one)] for one in run_ids)]:
        code, said = command(["--debug", *arguments]), capsys.readouterr()
        assert code == 0, said.err
        shown = said.out
        assert shown
        assert not [sign for sign in shown if _acts(sign)]


def _acts(sign: str) -> bool:
    """Whether a terminal acts on this character instead of showing it: controls, line breaks, changes of direction."""
    is_turn = unicodedata.bidirectional(sign) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return sign not in "\n\t" and (is_turn or unicodedata.category(sign) in ("Cc", "Zl", "Zp", "Cs"))
