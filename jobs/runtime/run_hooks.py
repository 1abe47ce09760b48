"""Run hooks: code of an application that runs around every attempt, of jobs, tasks and actors alike.

>>> @contextmanager
... def tenant(run: jobs.Run) -> Iterator[None]:
...     with activated(run.key):
...         yield
>>> jobs.run_hooks.add(tenant)

A hook is entered before the kind's ``prepare`` and left after ``perform``, in the thread that performs. An error that
it raises is an error of the attempt, and the job's retry policy decides. A hook cannot turn an error into a success.
It is outside the time limit of the job, so keep it short.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from typing import TYPE_CHECKING, Any

from jobs.errors import DefinitionError
from jobs.formats.shown import shown

if TYPE_CHECKING:
    from jobs.runtime.run import Run

Hook = Callable[["Run"], AbstractContextManager[Any]]
AsyncHook = Callable[["Run"], AbstractAsyncContextManager[Any]]

NO_HOOKS = nullcontext()


class RunHooks:
    """The hooks of this process, in the order in which they were added; left in the opposite order."""

    def __init__(self) -> None:
        self._hooks: tuple[tuple[Hook, AsyncHook | None], ...] = ()

    def add(self, hook: Hook, *, for_async: AsyncHook | None = None) -> None:
        """Enter ``hook(run)`` around every attempt from now on. A hook that is there already is not added again.

        Args:
            hook: takes the ``Run`` and returns a context manager.
            for_async: used instead for jobs that perform as coroutines, on their event loop; returns an async context
                manager. None: ``hook`` is used there too, and must not block.

        Raises:
            DefinitionError: a hook cannot be called.
        """
        for one in (hook, for_async):
            if one is not None and not callable(one):
                raise DefinitionError(
                    f"A run hook takes a run and returns a context manager, got {shown(one)}.",
                    hint="Write a function with @contextmanager.",
                )
        if all(known is not hook for known, _ in self._hooks):
            self._hooks = (*self._hooks, (hook, for_async))

    def remove(self, hook: Hook) -> None:
        """Do not enter ``hook`` any more; a hook that is not there is ignored."""
        self._hooks = tuple(one for one in self._hooks if one[0] is not hook)

    def around(self, run: Run) -> AbstractContextManager[Any]:
        """For the worker: the hooks around an attempt in this thread."""
        return _entered(self._hooks, run) if self._hooks else NO_HOOKS

    def around_async(self, run: Run) -> AbstractAsyncContextManager[Any]:
        """For the worker: the hooks around an attempt that is a coroutine."""
        return _entered_async(self._hooks, run) if self._hooks else NO_HOOKS


class Processed(Exception):
    """Base of what ends ``perform`` early although the work is done. Hooks see ``error`` instead, or no error."""

    @property
    def error(self) -> BaseException | None:
        """What the work itself raised, if anything."""
        return None


class _Leaving:
    """Leaves one hook. Suppresses nothing, and does nothing in a process that the job forked: its connections and
    locks are those of its parent.
    """

    def __init__(self, leave: Callable[..., Any]) -> None:
        self._leave = leave
        self._pid = os.getpid()

    def __call__(self, *raised: Any) -> bool:
        if os.getpid() == self._pid:
            self._leave(*_for_hooks(*raised))
        return False

    async def leave_async(self, *raised: Any) -> bool:
        if os.getpid() == self._pid:
            await self._leave(*_for_hooks(*raised))
        return False


def _for_hooks(kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> tuple[Any, Any, Any]:
    if not isinstance(error, Processed):
        return kind, error, trace
    inner = error.error
    return (None, None, None) if inner is None else (type(inner), inner, inner.__traceback__)


@contextmanager
def _entered(hooks: tuple[tuple[Hook, AsyncHook | None], ...], run: Run) -> Iterator[None]:
    with ExitStack() as stack:
        for hook, _ in hooks:
            one = hook(run)
            one.__enter__()
            stack.push(_Leaving(one.__exit__))
        yield


@asynccontextmanager
async def _entered_async(hooks: tuple[tuple[Hook, AsyncHook | None], ...], run: Run) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for hook, for_async in hooks:
            if for_async is not None:
                one = for_async(run)
                await one.__aenter__()
                stack.push_async_exit(_Leaving(one.__aexit__).leave_async)
            else:
                plain = hook(run)
                plain.__enter__()
                stack.push(_Leaving(plain.__exit__))
        yield


run_hooks = RunHooks()
"""The hooks of this process."""
