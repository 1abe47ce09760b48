"""Reports any failure of a command as one line on stderr and an exit code.

    error: what happened. what to do

``JobsError`` and usage errors have their own messages. Anything else is a bug: its line suggests ``--debug``,
which shows the traceback.
"""

from __future__ import annotations

import traceback

import click

from admin_cli.program.exits import Exit, exit_code_for
from admin_cli.program.names import command_line, program_name
from admin_cli.program.options import OutOfTime
from admin_cli.terminal import streams
from jobs.formats.escaping import escape_controls, one_line

GLOBAL_OPTIONS = ("--database-url", "--redis-url", "--bundle", "--timeout", "--debug", "--version")


def report(error: BaseException, *, debug: bool) -> int:
    """Print the error and return the exit code; with ``debug`` the traceback comes first."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        streams.abandon_stdout()
        return Exit.PIPE_CLOSED
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return _answer_no_arguments(error)
    code, message = _classify(error)
    if debug and not isinstance(error, click.ClickException):
        streams.write_message("".join(traceback.format_exception(error)).rstrip())
    streams.write_message(f"error: {message}")
    for line in getattr(error, "pointer", ()):
        streams.write_message(f"  {escape_controls(line)}")
    if isinstance(error, streams.OutputLost):
        streams.abandon_stdout()
    return code


def _classify(error: BaseException) -> tuple[Exit, str]:
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Exit.INTERRUPTED, "interrupted."
    if isinstance(error, OutOfTime):
        from jobs.formats.duration import format_duration

        return Exit.TIMED_OUT, f"not done within {format_duration(error.limit)}. Give a longer --timeout."
    if isinstance(error, click.ClickException):
        return Exit(error.exit_code) if error.exit_code in set(Exit) else Exit.FAILED, _usage(error)
    if isinstance(error, streams.OutputLost):
        return Exit.FAILED, f"cannot write to standard output: {error}."
    if isinstance(error, Exception) and (code := exit_code_for(error)) is not None:
        return code, _own(error)
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        return Exit.FAILED, f"{_stopped(one_line(what))} To see where: {_debug_line()}"
    what = one_line(f"{type(error).__name__}: {error}".rstrip(": "))
    return Exit.FAILED, f"{_stopped(what)} This is a bug in jobledger. To see where: {_debug_line()}"


def _own(error: Exception) -> str:
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    hint = getattr(error, "hint", None)
    what = _stopped(one_line(message))
    return f"{what} {one_line(hint)}" if hint else what


def _usage(error: click.ClickException) -> str:
    """click's message, and where to find help; for a misplaced global option, where it belongs."""
    message = _stopped(one_line(error.format_message()))
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    if isinstance(error, click.NoSuchOption) and context.parent and error.option_name in GLOBAL_OPTIONS:
        inner = context.command_path.partition(" ")[2]
        return f"{message} It goes before the command: {command_line(f'{error.option_name} … {inner}')}"
    return f"{message} See: {context.command_path} --help"


def _answer_no_arguments(error: click.exceptions.NoArgsIsHelpError) -> int:
    """Bare ``jobledger`` without a ledger prints the help; a group without its command is a usage error."""
    if error.ctx.parent is None:
        streams.write(error.ctx.get_help() + "\n")
        return Exit.DONE
    streams.write_message(error.ctx.get_help())
    return Exit.USAGE


def _stopped(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _debug_line() -> str:
    return f"{program_name()} --debug …"
