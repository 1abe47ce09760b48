"""Decides which addresses a webhook may reach, so that it cannot reach what only this machine can.

The name is resolved once, and every address of it is checked; the connection goes to a checked address. So a name that
resolves to another address a moment later changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotDelivered(Exception):
    """A message was not delivered; it is tried again."""


class TargetRefused(NotDelivered):
    """The target is an address that must not be reached from here."""


class AddressGuard:
    """Which addresses may be reached: public ones, and those of ``networks``."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in networks]

    def check_url(self, url: str) -> SplitResult:
        """The parts of a URL that may be posted to, as far as it says so itself.

        Raises:
            TargetRefused: no https, credentials in it, no host, or an address that is refused.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise TargetRefused("The URL cannot be read.") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise TargetRefused("The URL is not like https://alerts.example.com/path.")
        if parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
            raise TargetRefused("The URL has credentials, spaces or characters that are not ASCII.")
        literal = _literal(parts.hostname)
        if literal is not None:
            self.check(literal, is_plain=parts.scheme == "http")
        return parts

    def check(self, address: Address, *, is_plain: bool) -> None:
        """Refuse an address.

        Args:
            is_plain: by http, which only named networks may be reached by.

        Raises:
            TargetRefused: it is private, of this machine, of the local link, multicast or reserved.
        """
        address = _embedded(address)
        if any(address.version == one.version and address in one for one in self._networks):
            return
        if not address.is_global or address.is_multicast:
            raise TargetRefused(f"{address} is not a public address. JOBS_ALERT_NETWORKS may allow its network.")
        if is_plain:
            raise TargetRefused("http is for networks that JOBS_ALERT_NETWORKS names. Use https.")

    def addresses(self, parts: SplitResult) -> list[tuple[int, tuple[str, int]]]:
        """The checked addresses of a URL's host: family and socket address.

        Raises:
            TargetRefused: one of them is refused.
            NotDelivered: the name does not resolve.
        """
        host, is_plain = str(parts.hostname), parts.scheme == "http"
        port = parts.port or (80 if is_plain else 443)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NotDelivered(f"The host {host} does not resolve: {error.strerror or error}") from error
        checked = []
        for family, _, _, _, address in found:
            self.check(ipaddress.ip_address(str(address[0]).partition("%")[0]), is_plain=is_plain)
            checked.append((int(family), (str(address[0]), port)))
        return checked


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _embedded(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
