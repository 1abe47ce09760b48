"""Translates errors of the database driver; no message shows a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, ResourceClosedError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jobs.database.models import Base
from jobs.database.postgres import driver
from jobs.errors import ConfigurationError, JobsError, LedgerBusy, LedgerMissing, LedgerRefused, ServiceDown
from jobs.formats.redact import mask

_BUSY = ("locked", "lock timeout", "QueuePool", "deadlock detected", "could not serialize")
"""Texts of errors caused by other transactions: a later attempt may succeed."""
_OURS = (*Base.metadata.tables, "jobs_alembic_version", "jobs_insert_run")


@dataclass(frozen=True, slots=True)
class DriverErrors:
    """Translates errors of one database; ``shown`` is its name in our messages."""

    shown: str
    password: str | None

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise driver errors as our own."""
        try:
            yield
        except driver.driver_errors(OperationalError, InterfaceError, PoolTimeout) as error:
            raise self.translate(error) from error
        except ResourceClosedError as error:
            # A statement that returns rows had a result without rows: it was that of another statement.
            raise ServiceDown(
                f"The ledger at {self.shown} sends answers that belong to other statements.", hint="Try again."
            ) from error
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
        """Our error for a driver's error."""
        reason = self.reason(error)
        if _is_missing_table(error, reason):
            if not self.lacks_our_tables(error):
                return self._refused(reason)
            return LedgerMissing(f"There is no ledger in {self.shown}.", hint="Make one: jobledger migrate up.")
        if any(sign in reason for sign in _BUSY) or driver.sqlstate(error) in driver.BUSY:
            return LedgerBusy(f"The ledger at {self.shown} is busy: {reason}.", hint="Try again.")
        return ServiceDown(
            f"The ledger at {self.shown} cannot be used: {reason.rstrip('.')}.",
            hint=driver.hint(error, reason) or "Check that it runs and that JOBS_DATABASE_URL is right.",
        )

    def lacks_our_tables(self, error: Exception) -> bool:
        """Whether an error says that one of our tables, or the function that inserts, is missing.

        Another one may be the application's.
        """
        reason = self.reason(error)
        return _is_missing_table(error, reason) and any(name in reason for name in _OURS)

    def reason(self, error: Exception) -> str:
        """The first line of a driver's message, without our password."""
        lines = str(getattr(error, "orig", error) or error).strip().splitlines()
        return mask(lines[0] if lines else type(error).__name__, self.password)

    def _refused(self, reason: str) -> LedgerRefused:
        return LedgerRefused(f"The ledger refuses what it was given: {reason}.")


def _is_missing_table(error: Exception, reason: str) -> bool:
    return "no such table" in reason or driver.sqlstate(error) in (driver.UNDEFINED_TABLE, driver.UNDEFINED_FUNCTION)


class ServerWatch:
    """Counts how often the server was found unusable; connections made before that are useless."""

    def __init__(self, dialect: str) -> None:
        self._is_postgresql = dialect == "postgresql"
        self.moves = 0

    def is_lost(self, error: BaseException) -> bool:
        """Whether a connection that raised this error is useless, and those made before it."""
        if not self._is_postgresql or not driver.is_unusable(error):
            return False
        self.moves += 1
        return True
