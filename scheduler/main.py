"""``jobs scheduler``: fires due schedules until it is stopped; or once, if another program calls it at intervals."""

from __future__ import annotations

import logging

from jobs.alerting.watch import AlertWatch
from jobs.app import App
from jobs.client.declared_schedules import Declared, declared
from jobs.errors import JobsError
from jobs.events import ServiceFailed
from jobs.interpreter import refuse_free_threading
from jobs.observe import watch
from jobs.observe.log import configure_logging
from jobs.upkeep.loop import Upkeep
from scheduler.health import SchedulerProgress, serving
from scheduler.leader import Leadership
from scheduler.periodic import BEAT_SECONDS, Periodic
from scheduler.stop import Stop
from scheduler.sync import sync
from scheduler.zone_data import ZoneData

log = logging.getLogger("jobs.scheduler")


def main(app: App, *, once: bool = False) -> int:
    """Serve until stopped, or once. Returns the exit code. The application's modules must be imported already.

    Call it in the main thread, since it handles signals.

    Raises:
        DefinitionError: a schedule in the code is invalid; the message names its place.
        ServiceDown: the ledger does not answer at the start, or with ``once``.
        ConfigurationError: this Python is free-threaded.
    """
    refuse_free_threading()
    wanted = declared()
    configure_logging(app.settings)
    close = watch(app)
    try:
        if once:
            run_once(app, wanted)
            return 0
        with Stop() as stop, serving(app) as progress:
            sync(app, wanted)
            serve(app, stop, progress)
        return 0
    finally:
        close()


def run_once(app: App, wanted: list[Declared]) -> None:
    """Write the code's schedules, fire due slots and do upkeep, for the machine's cron. Needs no leadership."""
    sync(app, wanted)
    Periodic(app).tick()
    Upkeep(app).round()


def serve(app: App, stop: Stop, progress: SchedulerProgress) -> None:
    """Lead or stand by until asked to stop. If the ledger does not answer, try again."""
    leadership, periodic, upkeep, zone_data = Leadership(app), Periodic(app), Upkeep(app), ZoneData(app)
    upkeep.add("alerts", AlertWatch(app).turn)
    upkeep.start()
    log.info("Scheduler started", extra={"scheduler": leadership.holder})
    while not stop.is_asked:
        wait = BEAT_SECONDS
        progress.turned()
        try:
            leads = leadership.renew()
            zone_data.check(leads=leads)
            if leads:
                wait = periodic.beat(may_continue=lambda: not stop.is_asked and leadership.renew())
            else:
                periodic.decide_overdue()
            progress.ended(None)
        except JobsError as error:
            progress.ended(str(error))
            app.events.emit([ServiceFailed("ledger", "schedule", str(error))])
        stop.wait(wait)
    upkeep.stop()
    try:
        leadership.resign()
    except JobsError as error:
        log.warning("Leadership could not be released, its lease must expire", extra={"reason": str(error)})
    log.info("Scheduler stopped", extra={"scheduler": leadership.holder})
