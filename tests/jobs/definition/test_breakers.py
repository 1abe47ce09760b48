"""Mistakes in ``breaker=``, ``fair_by=`` and ``fair_weight=`` are refused where the class is made, in words."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import Field

from jobs import Breaker, DefinitionError, Job
from jobs.definition.fairness import fair_kinds, tenant_of, weight_of


class Plan(StrEnum):
    FREE = "free"


def make(**options: Any) -> type[Job]:
    class OptionJob(Job, **options):
        account: str = "a"
        number: int = 1
        short: Annotated[str, Field(max_length=20)] | None = None
        plan: Plan = Plan.FREE
        id: UUID | None = None
        note: str | None = None
        many: list[int] = Field(default_factory=list)
        price: Decimal = Decimal(1)
        parts: dict[str, str] = Field(default_factory=dict)

        def heavy(self) -> int:
            return self.number

        def perform(self) -> None: ...

    return OptionJob


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"after": 0}, "from 1 to 10,000"),
        ({"after": True}, "from 1 to 10,000"),
        ({"within": timedelta(0)}, "a day at most"),
        ({"within": 60}, "a timedelta"),
        ({"open_for": timedelta(milliseconds=5)}, "from 1 second"),
        ({"by": "no field"}, "name of a field"),
        ({"name": 3}, "takes text"),
    ],
)
def test_a_breaker_out_of_range_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        Breaker(**given)


def test_a_breaker_by_no_field_or_of_a_name_with_other_values_is_refused() -> None:
    with pytest.raises(DefinitionError, match="neither a field nor a method"):
        make(breaker=Breaker(by="nobody"))
    with pytest.raises(DefinitionError, match=r"takes a Breaker"):
        make(breaker=3)

    class OptionShared(Job, breaker=Breaker(after=2, name="option-shared")):
        def perform(self) -> None: ...

    with pytest.raises(DefinitionError, match="differs from the one of the kind OptionShared"):
        make(breaker=Breaker(after=3, name="option-shared"))
    make(breaker=Breaker(after=2, name="option-shared"))


@pytest.mark.parametrize("by", ["number", "short", "plan", "id", "heavy", "account", "note"])
def test_tenants_are_named_by_fields_of_short_values_and_by_methods(by: str) -> None:
    make(fair_by=by)


@pytest.mark.parametrize("by", ["many", "price", "parts"])
def test_a_field_that_names_no_tenant_is_refused_with_a_way_out(by: str) -> None:
    with pytest.raises(DefinitionError, match="names no tenant") as caught:
        make(fair_by=by)
    assert "a method" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fair_by": "nobody"}, "neither a field nor a method"),
        ({"fair_by": 3}, "the name of a field"),
        ({"fair_weight": 2}, "without fair_by"),
        ({"fair_by": "number", "fair_weight": 0}, "from 1 to 1,000"),
        ({"fair_by": "number", "fair_weight": "nobody"}, "neither a field nor a method"),
        ({"fair_by": "number", "fair_weight": {"1": 1001}}, "from 1 to 1,000"),
        ({"fair_by": "number", "fair_weight": 1.5}, "a number, the name"),
    ],
)
def test_fair_turns_with_a_mistake_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        make(**given)


def test_a_tenant_is_text_of_limited_length_and_a_mistake_in_its_code_stops_no_run() -> None:
    class OptionTenants(Job, fair_by="who", fair_weight={"7": 3}):
        number: int

        def who(self) -> str | int:
            return "x" * 500 if self.number == 1 else "" if self.number == 2 else 1 // self.number

        def perform(self) -> None: ...

    assert fair_kinds["OptionTenants"].by == "who"
    found = [tenant_of("OptionTenants", f'{{"number": {number}}}', 1) for number in (1, 2, 0)]
    assert [len(str(one)) for one in found] == [32, 7, 9]
    assert tenant_of("Unknown", "{}", 1) is None

    class OptionWeights(Job, fair_by="number", fair_weight={"7": 3}):
        number: int

        def perform(self) -> None: ...

    assert [weight_of("OptionWeights", f'{{"number": {number}}}', 1) for number in (7, 8)] == [3.0, 1.0]
