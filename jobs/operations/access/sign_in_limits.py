"""Limits sign-in attempts by network, without locking the owner of an account out.

Limits apply to an account from one address, and to an address whatever accounts it uses; the wait doubles. An address
from which the owner has signed in is not slowed down by other failures from there. If an account fails from many
addresses, each new address has one attempt. If the address is unknown, nothing is refused, because the limit would hit
every user.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from jobs.database.sql import Executor
from jobs.formats.duration import format_duration
from jobs.ledger.operators import rate_limits
from jobs.operations.access.access_errors import TooManyAttempts

MAX_ATTEMPTS, ATTEMPTS_WITHIN = 5, timedelta(minutes=15)
"""Failed attempts that are free, and the longest wait. Source: the issue that asked for it."""
MANY_FAILURES = 20
"""Failures of an account, from any address, after which a new address has one attempt. Source: decision."""
KNOWN_SPAN = timedelta(days=90)
"""How long an address belongs to the owner after they signed in from it. Source: decision."""
AUDITED_SINGLY = 5
"""The first failures of an account are audited one by one; then every tenth, with its number. Source: decision."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class SignInAttempts:
    """One attempt at an account from an address, and the keys under which it is counted."""

    account: str
    network: str | None

    @classmethod
    def of(cls, name: str, address: str | None) -> SignInAttempts:
        """Hashes names, because they may be long; an IPv6 network counts as one address."""
        account = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]
        return cls(account, None if address is None else network_of(address)[:50])

    def begin(self, session: Executor, now: datetime) -> float | None:
        """None: it may be attempted; else seconds until it may, and nothing was written."""
        if self.network is None:
            return None
        is_known = rate_limits.is_known(session, self._known, since=now - KNOWN_SPAN)
        has_many = rate_limits.count(session, self._all, now=now, within=ATTEMPTS_WITHIN) >= MANY_FAILURES
        keys = [self._pair] if is_known else [self._pair, self._address]
        wait = rate_limits.try_once(
            session, keys, now=now, most=MAX_ATTEMPTS, within=ATTEMPTS_WITHIN,
            fewer={self._pair: 1} if has_many and not is_known else None,
        )  # fmt: skip
        if wait is None:
            rate_limits.sweep(
                session, before=now - rate_limits.REMEMBERED * ATTEMPTS_WITHIN, known_before=now - KNOWN_SPAN
            )  # fmt: skip
        return wait

    def check(self, session: Executor, now: datetime) -> None:
        """Count an attempt.

        Raises:
            TooManyAttempts: it is not allowed yet; nothing was written.
        """
        wait = self.begin(session, now)
        if wait is not None:
            seconds = ceil(wait)
            span = format_duration(timedelta(seconds=seconds))
            raise TooManyAttempts("Too many sign-in attempts.", retry_after_seconds=seconds, hint=f"Wait {span}.")

    def fail(self, session: Executor, now: datetime) -> int | None:
        """Count a failure of the account. Returns its number if it must be audited, else None."""
        number = rate_limits.add(session, self._all, now=now, within=ATTEMPTS_WITHIN)
        return number if number <= AUDITED_SINGLY or number % 10 == 0 else None

    def succeed(self, session: Executor, now: datetime) -> None:
        """Undo the count of ``begin``, and remember the address."""
        rate_limits.forget(session, self._all)
        if self.network is not None:
            rate_limits.forget(session, self._pair)
            rate_limits.forget(session, self._address, moment=now)
            rate_limits.know(session, self._known, now=now)

    @property
    def _all(self) -> str:
        return f"account:{self.account}"

    @property
    def _pair(self) -> str:
        return f"try:{self.account}:{self.network}"

    @property
    def _address(self) -> str:
        return f"address:{self.network}"

    @property
    def _known(self) -> str:
        return f"{rate_limits.KEPT}{self.account}:{self.network}"


def network_of(address: str) -> str:
    """The network that counts as one address: an IPv4 address in any notation, or an IPv6 network of 64 bits."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    inner = found.ipv4_mapped
    if inner is None and found in _NAT64:
        inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
    return str(inner) if inner is not None else str(ipaddress.ip_network((int(found), 64), strict=False))
