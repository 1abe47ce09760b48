"""Completion callbacks of groups: counted in the ledger, in the transactions that end the messages of the group.

dramatiq counts in Redis, separately from the message's end: a worker killed between the two counts twice, and a
flushed Redis forgets the group.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from dramatiq.message import Message
from dramatiq.middleware import GroupCallbacks

from jobs.ledger.records import Completion
from jobs.messages.proxy import LedgerMessage
from jobs.messages.runs import new_run

if TYPE_CHECKING:
    from jobs.app import App


class HasApp(Protocol):
    """The part of LedgerBroker that this module needs."""

    @property
    def app(self) -> App: ...


class LedgerGroupCallbacks(GroupCallbacks):
    """Replaces ``GroupCallbacks``. The replaced middleware counts groups that the ledger does not know.

    Such groups began before the move to the ledger, or in another broker.
    """

    def __init__(self, broker: HasApp, given: GroupCallbacks) -> None:
        self._given = given
        self.rate_limiter_backend: Any = GroupBarriers(broker, given.rate_limiter_backend)
        self.barrier_ttl = given.barrier_ttl

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
        callbacks = message.options.get("group_completion_callbacks")
        group_id = _uuid(message.options.get("group_completion_uuid"))
        if exception is not None or not callbacks or group_id is None:
            return
        if isinstance(message, LedgerMessage):
            from jobs.ledger.effects.groups import has_group

            app = broker.app
            with app.database.read() as connection:
                is_known = has_group(connection, group_id)
            if is_known:
                runs = tuple(new_run(app, broker, Message(**one)) for one in callbacks)
                message.completes.append(Completion(group_id, message.message_id, runs))
                return
        self._given.after_process_message(broker, message, result=result, exception=exception)  # type: ignore[no-untyped-call]


class GroupBarriers:
    """``group.run`` stores the size of a group here, in the ledger. Other barriers use the given backend."""

    def __init__(self, broker: HasApp, given: Any) -> None:
        self._broker = broker
        self._given = given

    def add(self, key: str, value: int, ttl: int) -> bool:
        group_id = _uuid(key)
        if group_id is None:
            return bool(self._given.add(key, value, ttl))
        from jobs.enqueue.write_path import writing_in
        from jobs.ledger.effects.groups import open_group

        with writing_in(self._broker.app, None) as connection:
            return open_group(connection, group_id, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text)
    except (TypeError, ValueError, AttributeError):
        return None
