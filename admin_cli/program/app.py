"""Opens the App of a command: settings, the application's modules, and a ledger that this release can use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin_cli.program import collector
from admin_cli.program.bundle import open_app_of_bundle
from admin_cli.program.options import Globals
from admin_cli.terminal import streams
from admin_cli.terminal.streams import write_message

if TYPE_CHECKING:
    from jobs.app import App
    from jobs.settings import Settings


def read_settings(options: Globals, **given: Any) -> Settings:
    """The settings in force; the command line wins. Warns of unknown ``JOBS_`` variables.

    Raises:
        ConfigurationError: every mistake, together.
    """
    from jobs.settings import Settings, unknown_variables

    collector.resume()
    for line in unknown_variables():
        write_message(f"warning: {line}")
    said = {name: value for name, value in given.items() if value or (value == 0 and value is not False)}
    return Settings.read(**options.overrides(), **said)


def read_dotenv() -> None:
    """For ``dev``: add the ``JOBS_`` variables of ``.env`` in this folder to the environment, unless set already."""
    from dotenv import dotenv_values

    for name, value in dotenv_values(".env").items():
        if name.startswith("JOBS_") and value is not None:
            os.environ.setdefault(name, value)


def open_app(options: Globals, *, imports: Sequence[str] | None = None, **given: Any) -> App:
    """Open the App of a command, and check its ledger.

    Args:
        imports: also import these application modules, instead of those in the settings.

    Raises:
        LedgerMissing, SchemaMismatch, ServiceDown: there is no usable ledger.
    """
    from jobs import boot
    from jobs.migration import schema

    collector.resume()
    if options.bundle is not None:
        import_modules(tuple(imports or ()))
        return boot.configure(open_app_of_bundle(options.bundle, **given))
    settings = read_settings(options, **given)
    if imports is not None:
        import_modules(tuple(imports) or settings.imports)
    app = boot.configure(boot.build(settings))
    schema.check(app.database)
    return app


def import_modules(modules: Sequence[str]) -> None:
    """Import the application's modules; the current folder is last on the path.

    Raises:
        ConfigurationError: one of them cannot be imported; the message names the place.
    """
    from worker.startup.imports import import_application

    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    import_application(list(modules))


def embedded(options: Globals) -> Globals:
    """For ``dev``: the ledger of this folder, unless a setting names another."""
    from jobs.settings_defaults import provided

    named = ("JOBS_DATABASE_URL", "JOBS_DATABASE_URL_FILE")
    if options.database_url or any(os.environ.get(name) for name in named) or "database_url" in provided():
        return options
    return Globals(
        database_url=f"sqlite:///{Path('jobs.db').absolute()}",
        redis_url=options.redis_url,
        timeout=options.timeout,
        debug=options.debug,
    )


def in_child(do: Callable[[], object], *, debug: bool) -> int:
    """Call it in a forked child and return its exit code, so that its imports and connections end with the child.

    For checks before a supervisor starts, whose memory the supervisor must not keep.

    Raises:
        ConfigurationError: this system cannot fork, so it has no workers.
    """
    from admin_cli.program.failure import report
    from jobs.errors import ConfigurationError

    if not hasattr(os, "fork"):
        raise ConfigurationError(
            "Workers need a system that can fork: Linux or macOS.",
            hint="Here you may enqueue and operate. Run the worker in WSL or a container, on a ledger in PostgreSQL.",
        )
    streams.flush_both()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            do()
            code = 0
        except BaseException as error:
            code = report(error, debug=debug)
        finally:
            streams.flush_both()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
