"""Fork hooks: what modules do around a fork, also those that another thread loads while the fork waits for them.

``os.register_at_fork`` calls only the hooks that were registered when the fork began.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401
import logging  # noqa: F401
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple


class _Hooks(NamedTuple):
    before: Callable[[], None]
    in_parent: Callable[[], None]
    in_child: Callable[[], None]


_registered: list[_Hooks] = []


def register(*, before: Callable[[], None], in_parent: Callable[[], None], in_child: Callable[[], None]) -> None:
    """Call ``before`` ahead of a fork, the last registered first, and the others after it, the first registered first.

    A hook that is registered by the time the other hooks have run is called as well.
    """
    _registered.append(_Hooks(before, in_parent, in_child))


def _before() -> None:
    called = 0
    while called < len(_registered):
        known = len(_registered)
        _call_each(hooks.before for hooks in reversed(_registered[called:known]))
        called = known


def _in_parent() -> None:
    _call_each(hooks.in_parent for hooks in _registered)


def _in_child() -> None:
    _call_each(hooks.in_child for hooks in _registered)


def _call_each(hooks: Iterable[Callable[[], None]]) -> None:
    """Call every hook, also after one that raises (a time limit may end here): Python prints the last error."""
    failed: BaseException | None = None
    for hook in hooks:
        try:
            hook()
        except BaseException as error:
            failed = error
    if failed is not None:
        raise failed


if hasattr(os, "register_at_fork"):  # Not on Windows.
    # After logging and concurrent.futures: what is registered last is called first, and theirs take locks that imports
    # need.
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
