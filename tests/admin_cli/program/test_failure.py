from __future__ import annotations

import inspect
import signal
import sys
import time
from collections.abc import Callable
from types import ModuleType

import click
import pytest

from admin_cli.commands import COMMANDS
from admin_cli.main import run
from admin_cli.program.exits import MEANINGS, CommandFailed, Exit, exit_code_for
from admin_cli.program.lazy import Entry
from jobs import errors
from jobs.operations.access import access_errors

ERRORS: list[tuple[Exception, int]] = [
    (errors.JobsError("It failed."), 1),
    (errors.ConfigurationError("JOBS_THREADS is 0.", hint="Set 1 or more."), 2),
    (errors.LedgerMissing("There is no ledger here.", hint="Run: jobledger migrate up"), 2),
    (errors.DefinitionError("Two jobs are named Mail."), 2),
    (errors.ArgumentsRefused("order_id is no number.", field="order_id"), 2),
    (errors.EnqueueRefused("delay and at are both given."), 2),
    (errors.KeyConflict("The key is held.", key="k", run_id="r"), 4),
    (errors.QueueFull("The queue is full.", what="queue", name="mail", waiting=3, max_waiting=3), 4),
    (errors.Forbidden("ada may not purge runs."), 1),
    (access_errors.Unauthenticated("The name or the password is wrong."), 1),
    (access_errors.CredentialRefused("A password has 12 characters or more."), 2),
    (access_errors.TooManyAttempts("Too many sign-in attempts.", retry_after_seconds=60), 1),
    (access_errors.TooManyRequests("Too many changes were asked for.", retry_after_seconds=60), 1),
    (access_errors.Overloaded("Too many passwords are being checked."), 5),
    (errors.WaitExpired("No signal approval came in 2d.", name="approval"), 1),
    (errors.ChildDead("1 of 3 children is dead.", children=()), 1),
    (errors.SelectorRefused("column 3: no field colour."), 2),
    (errors.KeyBusy("Another transaction holds the key."), 4),
    (errors.NotEnded("The run has not ended."), 124),
    (errors.StepRepeated("Two steps are called charge."), 2),
    (errors.StepRefused("The result of charge is not JSON."), 2),
    (errors.UnknownEffect("Nobody knows whether charge took place."), 4),
    (errors.NotFound("No run ends in c9165be1."), 3),
    (errors.Ambiguous("c9165be1 is two runs.", matches=("a", "b")), 4),
    (errors.Conflict("The run is running."), 4),
    (errors.SignalRefused("The run has ended."), 4),
    (errors.LeaseLost("The lease is lost."), 4),
    (errors.ServiceDown("PostgreSQL does not answer."), 5),
    (errors.BundleRefused("incident.jlb is no bundle."), 1),
    (errors.LedgerRefused("The ledger refuses what it was given: value too long."), 1),
    (errors.LedgerBusy("The ledger is locked."), 5),
    (errors.SchemaMismatch("The tables are old.", hint="Run: jobledger migrate up"), 1),
    (CommandFailed("2 queues are late", exit_code=Exit.UNHEALTHY), 6),
    (CommandFailed("The run is dead", exit_code=Exit.RUN_DEAD, hint="See: jobledger show 1"), 7),
]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | Callable[[], None]], None]:
    """Make the command ``fail`` raise this error, or call this."""

    def set_up(attempt_result: BaseException | Callable[[], None]) -> None:
        @click.command()
        def command() -> None:
            if isinstance(attempt_result, BaseException):
                raise attempt_result
            attempt_result()

        module = ModuleType("failing_command")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "failing_command", module)
        monkeypatch.setitem(COMMANDS, "fail", Entry("failing_command:command", "Fail."))

    return set_up


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=[type(error).__name__ for error, _ in ERRORS])
def test_each_class_of_error_is_one_line_and_its_exit_code(error, code, failing, capsys) -> None:
    failing(error)

    assert run(["fail"]) == code

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"error: {error.message}")
    assert said.err.count("\n") == 1
    assert error.hint is None or error.hint in said.err


def test_every_error_of_the_tree_is_tried_above() -> None:
    members = inspect.getmembers(errors, inspect.isclass) + inspect.getmembers(access_errors, inspect.isclass)
    tree = {kind for _, kind in members if issubclass(kind, errors.JobsError)}

    assert tree <= {type(error) for error, _ in ERRORS}
    assert exit_code_for(ValueError("not ours")) is None


def test_a_subclass_made_later_takes_its_parents_code() -> None:
    class QueueMissing(errors.NotFound):
        pass

    assert exit_code_for(QueueMissing("no queue")) is Exit.NOT_FOUND


def test_a_bug_is_one_line_that_names_debug(failing, capsys) -> None:
    failing(ZeroDivisionError("division by zero\nand a second line"))

    assert run(["fail"]) == 1

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "ZeroDivisionError: division by zero; and a second line." in said
    assert "jobledger --debug" in said
    assert "Traceback" not in said


def test_debug_shows_where_a_bug_is_and_ends_with_the_line(failing, capsys) -> None:
    failing(ZeroDivisionError("division by zero"))

    assert run(["--debug", "fail"]) == 1

    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("Traceback")
    assert any("test_failure.py" in line for line in said)
    assert said[-1].startswith("error: ZeroDivisionError")


def test_a_hostile_message_cannot_act_on_the_terminal(failing, capsys) -> None:
    failing(errors.NotFound("no kind \x1b]0;pwned\x07\r\u202e", hint="see \x9b2J"))

    run(["fail"])

    assert capsys.readouterr().err == "error: no kind \\x1b]0;pwned\\x07; \\u202e. see \\x9b2J\n"


def test_a_file_that_cannot_be_read_is_no_bug(failing, capsys) -> None:
    failing(FileNotFoundError(2, "No such file or directory", "/nowhere/args.json"))

    assert run(["fail"]) == 1
    assert "No such file or directory: /nowhere/args.json." in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_exits_130(error, failing, capsys) -> None:
    failing(error)

    assert run(["fail"]) == 130
    assert capsys.readouterr().err == "error: interrupted.\n"


def test_timeout_stops_a_command_that_catches_every_exception(failing, capsys) -> None:
    def hang() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    failing(hang)
    started = time.monotonic()

    assert run(["--timeout", "100ms", "fail"]) == 124

    assert time.monotonic() - started < 10
    assert capsys.readouterr().err == "error: not done within 100ms. Give a longer --timeout.\n"


def test_a_command_that_is_done_in_time_leaves_the_alarm_as_it_was(failing) -> None:
    handler, (left, _) = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    during = []
    failing(lambda: during.append(signal.getitimer(signal.ITIMER_REAL)[0]))

    assert run(["--timeout", "1000s", "fail"]) == 0

    assert 900 < during[0] <= 1000
    assert signal.getsignal(signal.SIGALRM) is handler
    assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (left > 0)


def test_a_command_chooses_its_exit_code(failing) -> None:
    failing(click.exceptions.Exit(Exit.UNHEALTHY))

    assert run(["fail"]) == 6


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["shell-int"], "No such command 'shell-int'. Did you mean 'shell-init'?"),
        (["complete"], "No such command 'complete'. (Did you mean one of: 'compat', 'completion'?)"),
        (["--debg"], "No such option '--debg'. Did you mean '--debug'?"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
        (["completion"], "Missing argument"),
        (["completion", "bash", "x"], "unexpected extra argument"),
        (["completion", "--timeout", "1s"], "It goes before the command: jobledger --timeout … completion"),
        (["--timeout", "soon", "completion"], "'soon' is not a duration: write 30s"),
        (["--timeout", "0", "completion"], "is not above zero"),
        (["--timeout", "-5s", "completion"], "is not a duration"),
    ],
)
def test_bad_usage_is_one_line_and_exits_2(args: list[str], said: str, capsys) -> None:
    assert run(args) == 2

    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err


def test_help_names_every_exit_code(capsys) -> None:
    assert run(["--help"]) == 0

    shown = capsys.readouterr().out
    assert all(f"{code.value:>3}  " in shown for code in Exit)
    assert set(MEANINGS) == set(Exit)
    assert max(map(len, shown.splitlines())) <= 80
