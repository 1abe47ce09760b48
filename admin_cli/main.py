"""The command `jobledger` (and `jobs`): finds the command, runs it, and returns an exit code for every outcome.

Nothing heavy is imported here: help and completion answer from the table in ``commands``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

import click

from admin_cli.commands import COMMANDS
from admin_cli.program import collector
from admin_cli.program.bundle import check_command
from admin_cli.program.exits import MEANINGS
from admin_cli.program.hint import hint_once
from admin_cli.program.lazy import LazyGroup
from admin_cli.program.names import COMPLETE_VARIABLE, PROGRAM, program_name
from admin_cli.program.options import DURATION, Globals, time_limit
from admin_cli.shadows import refuse_shadows
from admin_cli.terminal import streams

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code.value:>3}  {text}" for code, text in MEANINGS.items())


def _show_version(ctx: click.Context, param: click.Parameter, is_asked: bool) -> None:
    if not is_asked or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version(PROGRAM)
    except PackageNotFoundError:
        number = "(not installed: running from a checkout)"
    click.echo(f"{PROGRAM} {number}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--database-url", metavar="URL", help="The ledger, instead of JOBS_DATABASE_URL.")
@click.option("--redis-url", metavar="URL", help="The ready index, instead of JOBS_REDIS_URL.")
@click.option("--bundle", metavar="FILE", help="Read a bundle instead of the ledger: jobledger bundle makes one.")
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Stop after this long (10s, 5m): exit 124.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
@click.pass_context
def cli(
    ctx: click.Context,
    database_url: str | None,
    redis_url: str | None,
    bundle: str | None,
    timeout: timedelta | None,
    debug: bool,
) -> None:
    """Background jobs you can account for.

    Global options go before the command: jobledger --timeout 10s COMMAND.
    """
    if bundle is not None:
        if database_url or redis_url:
            raise click.UsageError("--bundle is read instead of a ledger: leave out --database-url and --redis-url.")
        check_command(ctx.invoked_subcommand)
    ctx.obj = Globals(database_url=database_url, redis_url=redis_url, timeout=timeout, debug=debug, bundle=bundle)
    ctx.with_resource(time_limit(timeout))


def main() -> NoReturn:
    """The console scripts' entry."""
    collector.pause()
    streams.hold_standard_streams()
    question = os.environ.get(COMPLETE_VARIABLE)
    if question:
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(cli, {}, PROGRAM, COMPLETE_VARIABLE, question))
    refuse_shadows()
    args = sys.argv[1:]
    code = run(args)
    hint_once(args)
    sys.exit(code)


def check_text(args: Sequence[str]) -> None:
    """Refuse arguments that are not text, because no database can store them.

    Raises:
        click.UsageError: an argument has bytes outside the locale's encoding.
    """
    for one in args:
        try:
            one.encode()
        except UnicodeEncodeError:
            raise click.UsageError(f"{one!r} is not text in {sys.getfilesystemencoding()}.") from None


def has_ledger() -> bool:
    """Whether a setting names a ledger, or this folder has one: then bare ``jobledger`` is ``jobledger status``."""
    from jobs.settings_defaults import provided

    named = ("JOBS_DATABASE_URL", "JOBS_DATABASE_URL_FILE")
    is_named = any(os.environ.get(name) for name in named) or "database_url" in provided()
    return is_named or os.path.isfile("jobs.db")


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; raises only ``SystemExit``.

    Not ``cli.main``: it prints usage errors in several lines and exits 1 on a closed pipe.
    """
    debug = "--debug" in args
    try:
        try:
            check_text(args)
            words = list(args) or (["status"] if has_ledger() else [])
            with cli.make_context(program_name(), words) as ctx:
                cli.invoke(ctx)
        except click.exceptions.Exit as attempt_result:
            streams.flush()
            return attempt_result.exit_code
        streams.flush()
    except SystemExit:
        raise
    except BaseException as error:
        return _reported(error, debug=debug)
    return 0


def _reported(error: BaseException, *, debug: bool) -> int:
    """Report the error after flushing stdout; a failed flush does not hide the error."""
    from admin_cli.program.failure import report

    try:
        streams.flush()
        code = report(error, debug=debug)
        streams.flush()
    except (BrokenPipeError, streams.OutputLost):
        streams.abandon_stdout()
        return report(error, debug=debug)
    return code


if __name__ == "__main__":
    main()
