"""Sealed arguments in options, filters, replays and bundles, and for a person who opens them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import jobs
from jobs.definition.redaction import Redaction
from jobs.errors import DefinitionError, Forbidden, SelectorRefused
from jobs.ledger.queries.selectors import Selector
from jobs.operations.audit.actions import list_actions
from jobs.operations.audit.operator import ROLES, Operator
from jobs.operations.bulk.action import carry_out, plan
from jobs.operations.bulk.replay import ReplayAction
from jobs.operations.runs.inspect import list_runs
from jobs.operations.runs.selector import SelectorInput, make_selector
from jobs.operations.seals.opening import open_run
from jobs.sealing.filters import with_hashes
from jobs.sealing.seal_errors import SealKeyMissing
from jobs.testing import Ledger
from tests.conftest import MakeApp
from tests.jobs.sealing.cards import ADA, CANARY, Card, everything, raw, seen
from tests.jobs.sealing.cards import keys as keys
from tests.jobs.sealing.cards import ledger as ledger


def test_equal_arguments_share_a_key_and_filters_find_them_by_hash(ledger: Ledger) -> None:
    app = ledger.app
    first = Card(order_id=1, card=CANARY).enqueue()
    assert Card(order_id=1, card=CANARY).enqueue() == type(first)(first.id, created=False)
    with pytest.raises(jobs.KeyConflict):
        Card(order_id=2, card=CANARY).enqueue()
    assert Card(order_id=3, card=CANARY).enqueue(on_conflict="replace").id == first.id
    Card(order_id=4, card="another").enqueue()

    for asked in (
        SelectorInput(arguments=(f"card={CANARY}",)),
        SelectorInput(where=f'args.card:"{CANARY}"'),
        SelectorInput(keys=(f"card-{CANARY}",)),
    ):
        assert [one.id for one in list_runs(app, ADA, make_selector(app, asked)).runs] == [first.id]

    ledger.drain()
    assert seen == [CANARY, "another"]  # Also after the replacement, whose row has the id of the first.


def test_filters_of_other_kinds_need_no_keys(make_app: MakeApp, sqlite_url: str) -> None:
    app = make_app(sqlite_url)
    for asked in (Selector(keys=("order:1",)), Selector(arguments=(("card.no", "4111"),))):
        assert with_hashes(app, asked) == asked
        with pytest.raises((SealKeyMissing, SelectorRefused)):
            with_hashes(app, replace(asked, kinds=("sealed.Card",)))


def test_an_opening_for_a_person_needs_a_permission_and_is_on_record(ledger: Ledger) -> None:
    run = Card(order_id=1, card=CANARY).enqueue()

    with pytest.raises(Forbidden):
        open_run(ledger.app, Operator("ola", ROLES["operator"]), str(run.id))
    opened = open_run(ledger.app, ADA, str(run.id), reason="refund")

    assert opened.arguments["card"] == CANARY
    (entry,) = list_actions(ledger.app, ADA)
    assert (entry["verb"], entry["reason"], entry["target"]) == ("open_sealed", "refund", f"run {run.id}")


def test_a_replay_seals_again_for_the_new_run(ledger: Ledger) -> None:
    app = ledger.app
    run = Card(order_id=1, card=CANARY).enqueue()
    ledger.perform(run.id)
    which = make_selector(app, SelectorInput(ids=(str(run.id),), states=("succeeded",)))
    for changes in ({}, {"order_id": 9}, {"card": f"{CANARY}-new"}):
        act = ReplayAction(app=app, operator=ADA, changes=changes)
        carry_out(app, ADA, act, plan(app, ADA, act, which))
        ledger.drain()

    assert seen == [CANARY, CANARY, CANARY, f"{CANARY}-new"]
    assert "canary" not in everything(app)


def test_a_bundle_holds_neither_value_nor_ciphertext(ledger: Ledger) -> None:
    run = Card(order_id=1, card=CANARY).enqueue()
    stored = raw(ledger.app, run.id)

    redaction = Redaction()
    schema = Card.model_json_schema()

    assert redaction.arguments(json.loads(stored), schema) == {"order_id": 1, "card": "(sealed)", "fails": False}
    assert redaction.data({"inner": json.loads(stored)["card"]}) == {"inner": "(sealed)"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"subject": "nobody"}, "is no field of it"),
        ({"limits": jobs.Limit(1, by="secret")}, "would show a sealed value"),
        ({"fair_by": "secret"}, "would show a sealed value"),
        ({"schedule": jobs.Cron("0 * * * *")}, "a schedule cannot hold"),
    ],
)
def test_an_option_that_would_show_a_sealed_value_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        type(
            "Wrong",
            (jobs.Job,),
            {"__annotations__": {"secret": jobs.Sealed[str] | None}, "secret": None, "perform": lambda self: None},
            kind="sealed.Wrong",
            **options,
        )
