"""The nearest known name, for messages about an unknown one."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, otherwise: str) -> str:
    """A hint that names the nearest of ``known``, or ``otherwise`` if none is near."""
    import difflib  # Here, because nearly every name is known.

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else otherwise
