"""Delivery: a claimed run on its way through the dramatiq threads of a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from dramatiq.broker import MessageProxy
from dramatiq.message import Message

from jobs.ledger.records import AttemptResult, Claim, RecordedAttempt
from jobs.messages.actor_job import options_of


class Delivery(MessageProxy):
    """A claimed run as a message of dramatiq's worker.

    It carries the attempt's result: for dramatiq, a message that a middleware skipped looks like one that succeeded,
    so an ``ack`` without a result releases the run.
    """

    def __init__(self, claim: Claim, claimed_monotonic: float) -> None:
        self.claim = claim
        self.claimed_monotonic = claimed_monotonic
        self.queue_name = claim.queue
        self.actor_name = claim.kind

    # Defaults are class attributes, since one delivery is made for every run and most never change them.
    failed = False
    attempt_result: AttemptResult | None = None
    settled: RecordedAttempt | None = None
    running_row = -1
    kwargs: Mapping[str, Any] = MappingProxyType({})  # type: ignore[assignment]
    _message_id: str | None = None
    _exception = None

    def take_exception(self) -> BaseException | None:
        """Return and forget the error raised around this delivery, if any: its frames refer to the delivery."""
        error, self._exception = self._exception, None
        return error

    @cached_property
    def options(self) -> dict[str, Any]:  # type: ignore[override]
        """The message's options, for third-party patches of dramatiq's threads; our code does not read them."""
        return options_of(self.claim)

    @property
    def message(self) -> Delivery:
        """For dramatiq's threads, whose queue items have a ``message``."""
        return self

    @property
    def args(self) -> tuple[Any, ...]:  # type: ignore[override]
        """The actor's arguments: this delivery."""
        return (self,)

    @property
    def message_id(self) -> str:  # type: ignore[override]
        # dramatiq reads it four times for each message.
        if self._message_id is None:
            self._message_id = str(self.claim.run_id)
        return self._message_id

    @property
    def _message(self) -> Message[Any]:  # type: ignore[override]
        # Built only for middleware that reads the message itself.
        return Message(
            queue_name=self.queue_name,
            actor_name=self.actor_name,
            args=(),
            kwargs={},
            options=self.options,
            message_id=self.message_id,
            message_timestamp=int(self.claim.created_at.timestamp() * 1000),
        )

    # By identity; dramatiq's own comparison is by content.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __str__(self) -> str:
        # dramatiq logs this, so it has no arguments.
        return f"{self.actor_name} {self.message_id}"
