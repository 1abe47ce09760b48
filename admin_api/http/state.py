"""ApiState: the shared objects of an API process, made once and passed to every handler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from admin_api.http.background_tasks import BackgroundTasks
from admin_api.http.page_cache import PageCache
from admin_api.http.rate_limits import RateLimits
from admin_api.http.sign_in_threads import SignInThreads
from jobs.app import App
from jobs.clock import new_secret
from jobs.observe.gauges.ledger_metrics import LedgerMetrics
from jobs.operations.insight.cached_reports import CachedReports


@dataclass(frozen=True, slots=True)
class ApiState:
    """The App of this process, the key that signs access tokens, the caches of figures and pages, the background tasks,
    the sign-in queue, the ledger's metrics, and the rate limits."""

    app: App
    signing_key: str
    reports: CachedReports
    page_cache: PageCache
    background_tasks: BackgroundTasks
    doorway: SignInThreads
    metrics: LedgerMetrics
    rates: RateLimits

    @classmethod
    def over(cls, app: App) -> ApiState:
        return cls(
            app,
            app.settings.api_secret or new_secret(),
            CachedReports(app),
            PageCache(app.clock),
            BackgroundTasks(),
            SignInThreads(),
            LedgerMetrics(app),
            RateLimits(app),
        )

    def drop(self) -> None:
        """Drop the caches, because the ledger has changed."""
        self.reports.drop()
        self.page_cache.drop()


def api_state_of(request: Request) -> ApiState:
    api_state: ApiState = request.app.state.api_state
    return api_state


# Async, because this is too quick to be worth a thread of the pool.
async def _api_state(request: Request) -> ApiState:
    return api_state_of(request)


async def _ledger(request: Request) -> App:
    return api_state_of(request).app


Ledger = Annotated[App, Depends(_ledger)]
CurrentState = Annotated[ApiState, Depends(_api_state)]
