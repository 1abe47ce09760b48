"""Time limits of actors: the worker's own deadlines enforce them instead of dramatiq's hooks."""

from __future__ import annotations

from typing import Any

from dramatiq.middleware import TimeLimit


class LedgerTimeLimit(TimeLimit):
    """Holds the default and the option's name; the caller of the actor enforces the limit itself."""

    def after_process_boot(self, broker: Any) -> None:
        pass

    def before_process_message(self, broker: Any, message: Any) -> None:
        pass

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
        pass

    after_skip_message = after_process_message
