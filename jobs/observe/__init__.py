"""Subscribers of events: logs, metrics, error reports, traces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.app import App


def watch(app: App, *, metrics_folder: Path | None = None) -> Callable[[], None]:
    """Attach every subscriber that the settings ask for to ``app``; returns what to call before the process ends.

    Imports nothing for disabled subscribers: the worker's supervisor imports parts of this package and must stay small.

    Args:
        metrics_folder: folder of this process's counters; None: it does not count.

    Raises:
        ConfigurationError: a setting of a subscriber is invalid.
    """
    from jobs.observe.log import subscribe as log

    closing: list[Callable[[], None]] = []
    log(app.events)
    if metrics_folder is not None:
        from jobs.definition import registry
        from jobs.observe.metrics import subscribe as count

        closing.append(count(app, metrics_folder, kinds=registry.names(), queues=app.settings.queues or ()))
    if app.settings.otel_metrics:
        from jobs.observe.otel_metrics import subscribe as record

        record(app)
    if app.settings.sentry_dsn:
        from jobs.observe.sentry import subscribe as report

        closing.append(report(app))

    def close() -> None:
        for one in closing:
            one()

    return close
