"""What operators set for queues, one number each: set, cleared, on record, and undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.app import App
from jobs.database.sql import Executor
from jobs.errors import Conflict
from jobs.ledger.operators.queue_values import QueueValue, queue_value, set_queue_value
from jobs.ledger.records import Freed
from jobs.operations.audit.entry import check_reason, record_finished
from jobs.operations.audit.operator import Operator, Permission
from jobs.operations.control.pause import check_known


@dataclass(frozen=True, slots=True, kw_only=True)
class SetValue:
    """One number of a queue.

    Attributes:
        column: of the queue's row.
        recorded_as: its name in the audit.
        target: the target of an action on it: this and the queue.
        verbs: of the actions that set and clear it.
        called: its name in a sentence before "of the queue".
        none_set: the sentence if there is nothing to clear.
    """

    column: QueueValue
    recorded_as: str
    target: str
    verbs: tuple[str, str]
    called: str
    none_set: str

    def set(self, app: App, operator: Operator, queue: str, number: int, *, reason: str | None, is_new: bool) -> None:
        """Set it.

        Raises:
            NotFound: no run and no worker knows the queue, and ``is_new`` is false.
        """
        check_known(app, operator, "queue", queue, reason, is_new=is_new)
        with app.database.write(urgent=True) as connection:
            self._change(connection, operator, self.verbs[0], queue, reason, number)

    def clear(self, app: App, operator: Operator, queue: str, *, reason: str | None) -> int:
        """Clear it. Returns what was set.

        Raises:
            Conflict: none is set.
        """
        operator.need(Permission.QUEUES_WRITE)
        check_reason(app, reason)
        with app.database.write(urgent=True) as connection:
            before = self._change(connection, operator, self.verbs[1], queue, reason, None)
            if before is None:
                raise Conflict(self.none_set.format(queue=queue))
        return before

    def undo(self, session: Executor, action: dict[str, Any]) -> list[Freed]:
        """Put back what was set before an action. It makes no run ready.

        Raises:
            Conflict: it has been changed since.
        """
        queue = action["target"].removeprefix(self.target)
        if queue_value(session, self.column, queue) != self._number(action["after"]):
            raise Conflict(
                f"The {self.called} of the queue {queue} has been changed since.", hint="Nothing was changed."
            )
        set_queue_value(session, self.column, queue, self._number(action["before"]))
        return []

    def _change(
        self, connection: Executor, operator: Operator, verb: str, queue: str, reason: str | None, number: int | None
    ) -> int | None:
        """Returns what was set before."""
        before = queue_value(connection, self.column, queue)
        set_queue_value(connection, self.column, queue, number)
        record_finished(
            connection, verb, operator, target=f"{self.target}{queue}", reason=reason, before=self._recorded(before),
            after=self._recorded(number),
        )  # fmt: skip
        return before

    def _recorded(self, number: int | None) -> dict[str, Any] | None:
        return None if number is None else {self.recorded_as: number}

    def _number(self, recorded: dict[str, Any] | None) -> int | None:
        return None if recorded is None else int(recorded[self.recorded_as])
