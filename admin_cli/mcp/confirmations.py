"""Confirmations: what a dry run showed may be done once, soon, by the same operator, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from jobs.clock import Clock, new_secret
from jobs.errors import Conflict

LASTS_SECONDS = 600.0
"""How long a dry run may be confirmed. Source: decision; a person who is asked needs a few minutes."""
MOST = 100
"""Dry runs that wait for a confirmation; the oldest is forgotten. Source: decision."""


@dataclass(frozen=True, slots=True)
class _Shown:
    call: str
    count: int
    until: float


class Confirmations:
    """The dry runs of one server that may be confirmed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown: dict[str, _Shown] = {}

    def give(self, operator: str, tool: str, arguments: dict[str, Any], *, count: int) -> str:
        """A token for what this call showed, of so many runs."""
        while len(self._shown) >= MOST:
            del self._shown[next(iter(self._shown))]
        token = new_secret()
        until = self._clock.monotonic() + LASTS_SECONDS
        self._shown[token] = _Shown(_call(operator, tool, arguments), count, until)
        return token

    def take(self, token: str, operator: str, tool: str, arguments: dict[str, Any]) -> int:
        """Use up a token. Returns the count that its dry run showed.

        Raises:
            Conflict: it is unknown, used or too old, or is of another call.
        """
        found = self._shown.pop(token, None)
        if found is None or found.until <= self._clock.monotonic():
            raise Conflict("The confirmation is unknown, used or too old.", hint="Ask for a dry run again.")
        if found.call != _call(operator, tool, arguments):
            raise Conflict(
                "The confirmation is of another call; nothing was done.", hint="Repeat the call as its dry run was."
            )
        return found.count


def _call(operator: str, tool: str, arguments: dict[str, Any]) -> str:
    return json.dumps([operator, tool, arguments], sort_keys=True)
