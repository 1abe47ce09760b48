"""Shares as people write them: ``99.5%`` is 0.995."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation


def parse_percent(text: str) -> float:
    """``99.5%`` or ``99.5`` as 0.995; a number up to 1 without a sign is the share itself.

    Raises:
        ValueError: it is no number.
    """
    bare = text.strip()
    number = bare.removesuffix("%").strip()
    try:
        value = Decimal(number) if number.isascii() else Decimal("NaN")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or "_" in number:
        raise ValueError(f"{text!r} is no percentage, such as 99.5%")
    return float(value / 100 if bare.endswith("%") or value > 1 else value)


def format_percent(share: float) -> str:
    """0.995 as ``99.5%``; with as many digits as it needs, six at most."""
    return f"{Decimal(f'{share * 100:.6f}').normalize():f}%"
