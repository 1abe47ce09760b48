"""Subscribers of events: logs, metrics, error reports, traces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.app import App


def watch(app: App, *, metrics_folder: Path | None = None) -> Callable[[], None]:
    """Attach every subscriber that the settings ask for to ``app``; what to call before the process ends.

    Nothing that is off is imported: the supervisor of a worker imports parts of this package and must stay small.

    Args:
        metrics_folder: where this process counts; None: it does not.

    Raises:
        ConfigurationError: a subscriber cannot be as it is set.
    """
    from jobs.observe.log import subscribe as log

    closing: list[Callable[[], None]] = []
    log(app.events)
    if metrics_folder is not None:
        from jobs.definition import registry
        from jobs.observe.metrics import subscribe as count

        closing.append(count(app, metrics_folder, kinds=registry.names(), queues=app.settings.queues or ()))
    if app.settings.sentry_dsn:
        from jobs.observe.sentry import subscribe as report

        closing.append(report(app))

    def close() -> None:
        for one in closing:
            one()

    return close
