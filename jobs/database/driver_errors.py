"""Translates errors of the database driver; no message shows a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jobs.database.models import Base
from jobs.database.postgres import connect, driver
from jobs.errors import ConfigurationError, JobsError, LedgerBusy, LedgerMissing, LedgerRefused, ServiceDown
from jobs.formats.redact import mask

_BUSY = ("locked", "lock timeout", "QueuePool", "deadlock detected", "could not serialize")
"""What databases say when others are in the way: a later try may succeed."""
_OUR_TABLES = (*Base.metadata.tables, "jobs_alembic_version")


@dataclass(frozen=True, slots=True)
class DriverErrors:
    """Translates for one database, which is ``shown`` so in what we say."""

    shown: str
    password: str | None

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Driver errors leave here as ours."""
        try:
            yield
        except (OperationalError, InterfaceError, PoolTimeout, driver.DriverError) as error:
            raise self.translate(error) from error
        except ResourceClosedError as error:
            # A statement that answers with rows had an answer without: it was another statement's.
            raise ServiceDown(f"The ledger at {self.shown} answers out of step.", hint="Try again.") from error
        except DBAPIError as error:
            if error.connection_invalidated or driver.is_outage(error):
                raise self.translate(error) from error
            reason = self.reason(error)
            if "file is not a database" in reason:
                raise ConfigurationError(
                    f"{self.shown} is no SQLite database.", hint="Name another file in JOBS_DATABASE_URL."
                ) from error
            if "invalid connection option" in reason:
                raise ConfigurationError(
                    f"JOBS_DATABASE_URL has an {reason}.", hint="What follows ? must be an option of libpq."
                ) from error
            raise self._refused(reason) from error

    def translate(self, error: Exception) -> JobsError:
        """What a driver's error means to us."""
        reason = self.reason(error)
        if _is_missing_table(error, reason):
            if not self.lacks_our_tables(error):
                return self._refused(reason)
            return LedgerMissing(f"There is no ledger in {self.shown}.", hint="Make one: jobledger migrate up.")
        if any(sign in reason for sign in _BUSY) or driver.sqlstate(error) in driver.BUSY:
            return LedgerBusy(f"The ledger at {self.shown} is busy: {reason}.", hint="Try again.")
        return ServiceDown(
            f"The ledger at {self.shown} does not serve us: {reason.rstrip('.')}.",
            hint=driver.hint(error, reason) or "Check that it runs and that JOBS_DATABASE_URL is right.",
        )

    def lacks_our_tables(self, error: Exception) -> bool:
        """Whether an error says that one of our tables is not there; another may be the application's."""
        reason = self.reason(error)
        return _is_missing_table(error, reason) and any(name in reason for name in _OUR_TABLES)

    def reason(self, error: Exception) -> str:
        """The first line of what a driver says, without our password."""
        lines = str(getattr(error, "orig", error) or error).strip().splitlines()
        return mask(lines[0] if lines else type(error).__name__, self.password)

    def _refused(self, reason: str) -> LedgerRefused:
        return LedgerRefused(f"The ledger refuses what it was given: {reason}.")


def _is_missing_table(error: Exception, reason: str) -> bool:
    return "no such table" in reason or driver.sqlstate(error) == driver.UNDEFINED_TABLE


class ServerWatch:
    """Counts how often the server was found to serve us no more; connections made before lead nowhere."""

    def __init__(self, dialect: str) -> None:
        self._is_postgresql = dialect == "postgresql"
        self.moves = 0

    def is_lost(self, error: BaseException) -> bool:
        """Whether a connection that raised this leads nowhere any more, nor do those made before."""
        if not self._is_postgresql or not connect.is_worthless(error):
            return False
        self.moves += 1
        return True
