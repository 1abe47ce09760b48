"""Completion callbacks of groups: counted in the ledger, in the transactions that end the messages of the group.

dramatiq counts down in Redis, beside the message's end: a worker killed between the two counts twice, and a
Redis that is flushed forgets the group.
"""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID

from dramatiq.message import Message
from dramatiq.middleware import GroupCallbacks

from jobs.app import App
from jobs.ledger.effects.groups import has_group, open_group
from jobs.ledger.records import Completion
from jobs.messages.proxy import LedgerMessage
from jobs.messages.runs import new_run


class HasApp(Protocol):
    """A LedgerBroker, as far as it is needed here."""

    @property
    def app(self) -> App: ...


class LedgerGroupCallbacks(GroupCallbacks):
    """In place of ``GroupCallbacks``. Groups that the ledger does not know, begun before the move to it or by another
    broker, are counted by the middleware it stands for."""

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
            app = broker.app
            with app.database.read() as connection:
                is_known = has_group(connection, group_id)
            if is_known:
                runs = tuple(new_run(app, broker, Message(**one)) for one in callbacks)
                message.completes.append(Completion(group_id, message.message_id, runs))
                return
        self._given.after_process_message(broker, message, result=result, exception=exception)  # type: ignore[no-untyped-call]


class GroupBarriers:
    """Where ``group.run`` tells how many messages a group has: the ledger. All else is the given backend's."""

    def __init__(self, broker: HasApp, given: Any) -> None:
        self._broker = broker
        self._given = given

    def add(self, key: str, value: int, ttl: int) -> bool:
        group_id = _uuid(key)
        if group_id is None:
            return bool(self._given.add(key, value, ttl))
        with self._broker.app.database.write(urgent=True) as connection:
            return open_group(connection, group_id, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(text)
    except (TypeError, ValueError, AttributeError):
        return None
