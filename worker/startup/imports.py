"""Imports the application's modules, with one clear error line when that fails."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from jobs.errors import ConfigurationError
from jobs.shadow import other_of

MAX_PART = 240
"""Bytes of one part of a module's name. Source: file systems allow 255, and the file of the bytecode has a suffix."""
OURS = frozenset({"jobs", "worker", "scheduler", "admin_cli", "admin_api", "migrations"})


def import_application(modules: Iterable[str]) -> list[str]:
    """Import the modules, in order. Returns a text for each thing they left behind that a fork would break.

    A thread does not survive a fork, and a connection would be shared by every process forked after it.

    Raises:
        ConfigurationError: a module could not be imported; ``__cause__`` is the error.
    """
    left = []
    for name in modules:
        threads, sockets = _threads(), _sockets()
        _import_one(name)
        left += [f"{name} left the thread {thread!r} running" for thread in sorted(_threads() - threads)]
        opened = len(_sockets() - sockets)
        if opened:
            left.append(f"{name} left {opened} connection{'s' * (opened > 1)} open")
    return left


def _import_one(name: str) -> None:
    if name.endswith(".py") or "/" in name:
        dotted = name.removesuffix(".py").strip("./").replace("/", ".")
        raise ConfigurationError(f"Cannot import {name!r}: that is a file.", hint=f"Name the module: {dotted}.")
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(f"Cannot import {name!r}: that is no module's name.", hint="Write my.module.")
    if any(len(os.fsencode(part)) > MAX_PART for part in name.split(".")):
        raise ConfigurationError(
            f"Cannot import {name[:40] + '…'!r}: no file has so long a name.", hint="Write my.module."
        )
    head = name.partition(".")[0]
    here = next((path for path in (Path(f"{head}.py"), Path(head, "__init__.py")) if path.exists()), None)
    if head in OURS and here is not None and not _is_ours(here, head):
        raise ConfigurationError(
            f"Cannot import {name!r}: {here} has the name of a package of ours.", hint="Rename it."
        )
    try:
        import_module(name)
    except BaseException as error:
        message, hint = _explain(name, error)
        raise ConfigurationError(f"Cannot import {name!r}: {' '.join(message.split())}.", hint=hint) from error


def _is_ours(path: Path, head: str) -> bool:
    """Whether the path is our package itself, as in a checkout. The package may not be loaded yet."""
    return path.resolve().parent == Path(__file__).resolve().parents[2] / head


def _explain(name: str, error: BaseException) -> tuple[str, str | None]:
    if isinstance(error, SyntaxError):
        where = f" in {error.filename}, line {error.lineno}" if error.filename else ""
        return f"syntax error{where}: {error.msg}", None
    if isinstance(error, ValueError) and "null bytes" in str(error):
        # The same error in Python before 3.11.4.
        return f"syntax error: {error}", None
    head = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ImportError) and head in OURS and (other := other_of(head)) is not None:
        return f"it wants its own {head!r} ({other}), and {head!r} is a package of ours{_place(error)}", "Rename it."
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        if name == error.name or name.startswith(error.name + "."):
            hint = "Start in the application's folder or install it, and check --import or JOBS_IMPORTS."
            return f"there is no module {error.name!r} in this folder or on Python's path", hint
        return f"it needs the module {error.name!r}, which is not installed{_place(error)}", None
    if isinstance(error, SystemExit):
        return (
            f"it called sys.exit({error.code!r}){_place(error)}",
            'Guard it with if __name__ == "__main__".',
        )
    return f"{type(error).__name__}: {error}{_place(error)}", None


def _place(error: BaseException) -> str:
    """The place in the application that raised it: the last frame that is neither ours nor the importer's."""
    our_folder = Path(__file__).parents[2]
    # Our code raises errors about a definition, but the application's line is the one to correct.
    ours = tuple(f"{our_folder / name}{os.sep}" for name in sorted(OURS))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*ours, "<")) and os.sep + "importlib" + os.sep not in frame.filename
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def _sockets() -> set[str]:
    """The open sockets, by the kernel's names; empty where there is no /proc."""
    found = set()
    try:
        for fd in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:
                continue  # The listing's own descriptor, closed by now.
            if target.startswith("socket:"):
                found.add(target)
    except OSError:
        return set()
    return found
