"""Whether a ledger has any rows of what few applications use. Without them a round of upkeep has less to ask."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, exists, literal_column, or_, select, text

from jobs.database.direct_statements import DirectStatement, Runner
from jobs.database.models import (
    ON_HOLD,
    JobBreaker,
    JobBreakerFailure,
    JobLimit,
    JobLimitSlot,
    JobRateSlot,
    JobRun,
    JobTurn,
)

_NO_KEY: ColumnElement[str] = literal_column("''")


class RareRows(NamedTuple):
    """Whether there is anything that the sweeps of breakers, and those of limits, rates and turns, look at."""

    of_breakers: bool
    of_limits: bool


def rare_rows(runner: Runner) -> RareRows:
    """What there is. One statement of a few index probes."""
    of_breakers, of_limits = _RARE_ROWS.rows(runner, {})[0]
    return RareRows(bool(of_breakers), bool(of_limits))


def _rare_rows(dialect: str) -> Select[bool, bool]:
    # Parked runs, and those that wait for something else.
    held: ColumnElement[bool] = exists().select_from(JobRun).where(text(ON_HOLD))
    breakers = or_(
        held, exists().where(JobBreaker.digest != _NO_KEY), exists().select_from(JobBreakerFailure)
    )  # fmt: skip
    slots = or_(exists().select_from(JobLimitSlot), exists().select_from(JobRateSlot))
    limits = or_(held, slots, exists().where(JobLimit.digest != _NO_KEY), exists().select_from(JobTurn))
    return select(breakers.label("of_breakers"), limits.label("of_limits"))


_RARE_ROWS = DirectStatement(_rare_rows)
