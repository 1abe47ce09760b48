"""The reference pages that are made from the code: Python API, command line, metrics, log events, error codes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

import jobs
import jobs.dramatiq
import jobs.testing
from admin_cli.main import cli
from jobs import errors
from jobs.ledger.blobs import blob_errors
from jobs.observe import catalogue
from jobs.operations.access import access_errors
from jobs.sealing import seal_errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("jobs", "worker", "scheduler", "admin_cli", "admin_api")
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
PUBLIC = (jobs, jobs.dramatiq, jobs.testing)


def undocumented(modules: Iterable[Any] = PUBLIC) -> list[str]:
    """Public classes and functions, and methods that a public class has first, without a docstring of their own."""
    found = []
    for module in modules:
        for name in module.__all__:
            one = getattr(module, name)
            if inspect.isclass(one):
                found += [] if one.__dict__.get("__doc__") else [f"{module.__name__}.{name}"]
                found += [f"{module.__name__}.{name}.{method}" for method in _bare_methods(one)]
            elif inspect.isfunction(one) and not one.__doc__:
                found.append(f"{module.__name__}.{name}")
    return found


def _bare_methods(one: type) -> Iterator[str]:
    for name, value in vars(one).items():
        function = getattr(value, "__func__", value)
        is_first = not any(hasattr(base, name) for base in one.__mro__[1:])
        if not name.startswith("_") and inspect.isfunction(function) and not function.__doc__ and is_first:
            yield name


def python() -> str:
    lines = ["# Python", "", "What an application imports. Everything else is private, and may change at any time."]
    for module in PUBLIC:
        lines += ["", f"## `{module.__name__}`", ""]
        for name in sorted(module.__all__):
            lines += [f"::: {_home(module, name)}", *_inherited(getattr(module, name)), ""]
    return "\n".join(lines) + "\n"


def _inherited(one: Any) -> list[str]:
    """Options that show what a public class has from bases of ours, except what says that it is for the worker."""
    bases = [base for base in one.__mro__[1:] if base.__module__.startswith("jobs.")] if inspect.isclass(one) else []
    shown = [
        name
        for base in bases
        for name, value in vars(base).items()
        if not name.startswith("_") and not (value.__doc__ or "For ").startswith("For ") and name not in vars(one)
    ]
    return ["    options:", f"      inherited_members: [{', '.join(shown)}]"] if shown else []


def _home(module: Any, name: str) -> str:
    """Where a public name is defined: a class says it; of a constant, ``jobs`` knows where it takes it from."""
    one = getattr(module, name)
    if inspect.isclass(one) or inspect.isfunction(one):
        return f"{one.__module__}.{one.__qualname__}"
    homes = getattr(module, "_HOMES", {})
    home = next((path for path, names in homes.items() if name in names), None)
    return f"{module.__name__}.{home}.{name}" if home else f"{module.__name__}.{name}"


def command_line() -> str:
    lines = [
        "# Command line",
        "",
        "`jobledger`, also called `jobs`. Made from the commands themselves: each also answers to `--help`.",
    ]
    return "\n".join([*lines, *_commands(cli, "jobledger", None, 2)]) + "\n"


def _commands(command: click.Command, name: str, parent: click.Context | None, level: int) -> Iterator[str]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent)
    if level > 2:
        yield from ("", f"{'#' * min(level, 5)} `{name}`", "", "```text", command.get_help(context), "```")
    else:
        yield from ("", "```text", command.get_help(context), "```")
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            inner = command.get_command(context, word)
            if inner is not None and not inner.hidden:
                yield from _commands(inner, f"{name} {word}", context, level + 1)


def metrics() -> str:
    lines = ["# Metrics", "", "Names and labels are public. `jobledger metrics names` prints them too."]
    for title, group in (("The worker's endpoint", catalogue.WORKER), ("The ledger's endpoint", catalogue.LEDGER)):
        lines += ["", f"## {title}", "", "| metric | type | labels | what it is |", "| --- | --- | --- | --- |"]
        lines += [
            f"| `{one.name}` | {one.type} | {' '.join(f'`{label}`' for label in one.labels)} | {one.help} |"
            for one in group
        ]
    return "\n".join(lines) + "\n"


def error_codes() -> str:
    lines = [
        "# Error codes",
        "",
        "Each error has a stable code: `error.code` of the API, `code` of `-o json`, the attribute `code` in Python.",
        "",
        "| code | class | what happened |",
        "| --- | --- | --- |",
    ]
    members = inspect.getmembers(errors, inspect.isclass) + inspect.getmembers(access_errors, inspect.isclass)
    members += inspect.getmembers(seal_errors, inspect.isclass) + inspect.getmembers(blob_errors, inspect.isclass)
    classes = {one for _, one in members if issubclass(one, errors.JobsError)}
    for one in sorted(classes, key=lambda one: (one.code, one.__name__)):
        text = (one.__dict__.get("__doc__") or _in_tree(one.__name__)).strip().partition("\n\n")[0]
        lines.append(f"| `{one.code}` | `{one.__name__}` | {' '.join(text.split()).replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def _in_tree(name: str) -> str:
    """What the tree at the top of jobs/errors.py says of a class."""
    for line in (errors.__doc__ or "").splitlines():
        words = line.lstrip(" │├└─").partition("  ")
        if words[0] == name:
            return words[2].strip().capitalize() + "."
    return ""


def log_events() -> str:
    lines = [
        "# Log events",
        "",
        "The field `event` of each line that the loggers `jobs.*` write, and its fields. Made from the code.",
        "",
        "| event | logger | level | fields |",
        "| --- | --- | --- | --- |",
    ]
    rows = sorted({row for package in PACKAGES for path in (ROOT / package).rglob("*.py") for row in _events(path)})
    lines += [f"| {event} | `{logger}` | {level} | {fields} |" for event, logger, level, fields in rows]
    return "\n".join(lines) + "\n"


def _events(path: Path) -> Iterator[tuple[str, str, str, str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    loggers = dict(_loggers(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple) and "attempts" in loggers:
            level, event = node.value.elts[0], node.value.elts[1]
            if isinstance(level, ast.Attribute) and isinstance(event, ast.Constant):
                yield str(event.value), loggers["attempts"], level.attr.lower(), ""
        elif isinstance(node, ast.Assign) and _is(node.targets[0], "_EVENT") and isinstance(node.value, ast.Dict):
            for value in node.value.values:
                yield str(getattr(value, "value", "")), loggers["attempts"], "info to error", "see Observing"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            logger = getattr(node.func.value, "id", "")
            if logger in loggers and node.args:
                level = "error" if node.func.attr == "exception" else node.func.attr
                for event in _texts(node.args[0]):
                    yield event, loggers[logger], level, _fields(node)


def _loggers(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value.args:
            name = node.value.args[0]
            if ast.unparse(node.value.func).endswith("getLogger") and isinstance(name, ast.Constant):
                yield getattr(node.targets[0], "id", ""), str(name.value)


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    return _texts(node.body) + _texts(node.orelse) if isinstance(node, ast.IfExp) else []


def _fields(call: ast.Call) -> str:
    extra = next((one.value for one in call.keywords if one.arg == "extra"), None)
    keys = [key.value for key in extra.keys if isinstance(key, ast.Constant)] if isinstance(extra, ast.Dict) else []
    return " ".join(f"`{key}`" for key in keys)


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


PAGES: dict[str, Callable[[], str]] = {
    "python": python,
    "cli": command_line,
    "metrics": metrics,
    "log-events": log_events,
    "errors": error_codes,
}
