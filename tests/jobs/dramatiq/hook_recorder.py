"""A middleware that records its hooks, for tests of dramatiq."""

from __future__ import annotations

from typing import Any

from dramatiq.middleware import Middleware


class HookRecorder(Middleware):
    """Records every hook that is called, as (name, the actor or queue that it is about)."""

    def __init__(self) -> None:
        self.recorded: list[tuple[str, Any]] = []

    @property
    def actor_options(self) -> set[str]:
        return {"noted"}

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith(("before_", "after_")):
            return super().__getattribute__(name)

        def record(broker: Any, about: Any = None, *rest: Any, **more: Any) -> None:
            about = about if isinstance(about, str) else getattr(about, "actor_name", None)
            self.recorded.append((name, about))

        return record

    def names(self) -> list[str]:
        return [name for name, _ in self.recorded]
