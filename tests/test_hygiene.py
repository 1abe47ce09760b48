"""What none of the packages does: run text as code or as a command, unpickle, or build SQL from strings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("jobs", "worker", "scheduler", "admin_cli", "admin_api", "migrations")

UNPICKLING = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
RUNS_TEXT = {"eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
TAKES_SQL = {"text", "execute", "executemany", "executescript", "exec_driver_sql", "scalar", "scalars", "DDL"}
SQL_START = re.compile(
    r"\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET|DELETE\s+FROM\s|WITH\s+\S+\s+AS|MERGE\s+INTO"
    r"|(CREATE|ALTER|DROP|TRUNCATE)\s+(TABLE|INDEX|UNIQUE|SCHEMA|VIEW|TRIGGER|FUNCTION)|PRAGMA\s|NOTIFY\s|LISTEN\s)"
)

BUILT_SQL: dict[str, str] = {}
"""Modules that may build SQL from strings, and why nothing from outside can get into it."""


def faults(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        for fault in _faults_of(node):
            yield f"line {getattr(node, 'lineno', 0)}: {fault}"


def _faults_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        yield from (f"{name} unpickles" for name in names if name.split(".")[0] in UNPICKLING)
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called in RUNS_TEXT or called.removeprefix("builtins.") in RUNS_TEXT:
            yield f"{called}() runs text"
        for keyword in node.keywords:
            if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
                yield f"{called}(shell=…) runs text"
        if called.rpartition(".")[2] in TAKES_SQL and any(_is_built(argument) for argument in node.args[:1]):
            yield f"{called}() is given a string that was built"
    if isinstance(node, ast.expr) and _is_built(node) and SQL_START.match(_beginning(node)):
        yield "SQL is built from strings"


def _is_built(node: ast.AST) -> bool:
    """A string that something was put into: an f-string, ``%``, ``+``, ``.format`` or ``.join``."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mod, ast.Add)):
        return any(
            isinstance(part, ast.JoinedStr) or _is_text(part) or _is_built(part) for part in (node.left, node.right)
        )
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("format", "join", "format_map")
        and (_is_text(node.func.value) or _is_built(node.func.value))
    )


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _beginning(node: ast.AST) -> str:
    """The text that a built string starts with; ``{}`` stands for what is put in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_beginning(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return _beginning(node.left) + _beginning(node.right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _beginning(node.func.value)
    return "{}"


def test_the_packages_run_no_text_unpickle_nothing_and_build_no_sql() -> None:
    files = [path for place in PLACES for path in sorted((ROOT / place).rglob("*.py"))]
    assert len(files) > 5

    found = [
        f"{path.relative_to(ROOT)}: {fault}"
        for path in files
        for fault in faults(path.read_text(encoding="utf-8"))
        if not ("SQL" in fault or "built" in fault) or str(path.relative_to(ROOT)) not in BUILT_SQL
    ]

    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "def late():\n    import marshal",
        "eval('1')",
        "exec(code)",
        "import os\nos.system('ls')",
        "subprocess.run('ls', shell=True)",
        "subprocess.run('ls', shell=flag)",
        "session.execute(text(f'SELECT {x}'))",
        "text('SELECT %s' % x)",
        "text('SELECT {}'.format(x))",
        "connection.exec_driver_sql('SELECT ' + x)",
        "cursor.execute(' AND '.join(parts))",
        "statement = f'DELETE FROM {table}'",
        "statement = 'UPDATE runs SET ' + columns",
        "op.execute(f'DROP TABLE {name}')",
    ],
)
def test_a_planted_fault_is_found(source: str) -> None:
    assert list(faults(source)) != []


@pytest.mark.parametrize(
    "source",
    [
        "session.execute(text('SELECT 1'), {'a': 1})",
        "subprocess.run(['ls'], shell=False)",
        "raise ValueError(f'Update {name} first')",
        "evaluate('1')",
        "text(f'SELECT 1')",
        "session.execute(select(Run).where(Run.id == f'{a}'))",
        "connection.execute('PRAGMA data_version')",
    ],
)
def test_harmless_code_is_accepted(source: str) -> None:
    assert list(faults(source)) == []
