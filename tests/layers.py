"""The drawing of the house, and a reader of source that says where the house departs from it."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("jobs", "worker", "scheduler", "admin_cli", "admin_api")

LAYERS: tuple[frozenset[str], ...] = (
    frozenset(
        {
            "jobs.errors",
            "jobs.interpreter",
            "jobs.states",
            "jobs.clock",
            "jobs.duration",
            "jobs.size",
            "jobs.unique",
            "jobs.visible",
            "jobs.naming",
            "jobs.equality",
            "jobs.served",
            "jobs.redact",
            "jobs.own_threads",
            "jobs.semaphore",
            "jobs.shadow",
            "jobs.unreadable",
        }
    ),
    frozenset({"jobs.retry", "jobs.settings", "jobs.events", "jobs.tags", "jobs.arguments"})
    | {
        f"jobs.{part}"
        for part in (
            "zones",
            "cron_step",
            "cron",
            "schedule",
            "slots",
            "catch_up",
            "schedule_data",
            "preview",
            "settings_page",
        )
    },
    frozenset({"jobs.models", "jobs.options", "jobs.definition", "jobs.terms", "jobs.credentials", "jobs.fingerprint"}),
    frozenset(
        {
            "jobs.sql",
            "jobs.postgres",
            "jobs.postgres_connect",
            "jobs.postgres_connection",
            "jobs.postgres_server",
            "jobs.database",
            "jobs.places",
            "jobs.database_url",
            "jobs.driver_errors",
            "jobs.session",
            "jobs.ledger_connection",
            "jobs.prepared",
            "jobs.direct",
            "jobs.slow",
            "jobs.sqlite_connection",
            "jobs.sqlite_file",
            "jobs.sqlite_locks",
            "jobs.sqlite_queue",
            "jobs.sqlite_watch",
        }
    ),
    frozenset({"jobs.ledger", "jobs.ready", "jobs.schema", "jobs.ddl"}),
    frozenset({"jobs.app", "jobs.commit_group", "jobs.registry", "jobs.under_test", "jobs.code"}),
    frozenset(
        {"jobs.run", "jobs.announce", "jobs.enqueue", "jobs.operations", "jobs.upkeep", "jobs.observe", "jobs.boot"}
    )
    | {
        "jobs.context",
        "jobs.off_loop",
        "jobs.unserved",
        "jobs.ended",
        "jobs.lookup",
        "jobs.failure",
        "jobs.once",
        "jobs.progress",
        "jobs.cursor",
        "jobs.transaction",
    },
    frozenset({"jobs.job", "jobs.many", "jobs.declared"}),
    frozenset({"jobs", "jobs.dramatiq", "jobs.testing", "jobs.pytest_plugin"}),
    frozenset({"worker", "scheduler", "admin_cli", "admin_api"}),
)
"""From the ground up. A module imports from layers below its own, or from its own if that makes no circle."""

PROGRAMS = LAYERS[-1]
"""These never import each other."""

LATE = frozenset(
    {
        ("admin_cli", "worker.main"),
        ("admin_cli", "worker.launch"),
        ("admin_cli", "worker.imports"),
        ("admin_cli", "worker.watch"),
        ("admin_cli", "scheduler.main"),
        ("jobs.dramatiq", "worker.guest"),
        ("admin_cli", "admin_api.main"),
        ("admin_cli", "admin_api.reference"),
        ("jobs.testing", "worker.attempt"),
    }
)
"""What may be imported against the order, inside a function only: the CLI starts the processes by their
``main``, ``LedgerBroker.consume`` loads what serves a plain dramatiq worker when one first asks, and ``jobs.testing``
makes attempts as a worker does."""

SQL = frozenset(
    {"jobs.models", "jobs.sql", "jobs.database", "jobs.database_url", "jobs.session", "jobs.schema", "jobs.ledger"}
    | {"jobs.ddl", "jobs.postgres", "jobs.postgres_connect", "jobs.postgres_connection", "jobs.postgres_server"}
    | {"jobs.prepared", "jobs.direct", "jobs.ledger_connection", "jobs.driver_errors"}
    | {"jobs.slow", "jobs.sqlite_connection"}
)
MAINS = frozenset({"worker.main", "scheduler.main", "admin_cli", "admin_api.main"})

DOORS: dict[str, frozenset[str]] = {
    "sqlalchemy": SQL,
    "sqlite3": SQL,
    "aiosqlite": SQL,
    "psycopg": SQL,
    "alembic": frozenset({"jobs.schema", "jobs.ddl"}),
    "redis": frozenset({"jobs.ready"}),
    "pytest": frozenset({"jobs.pytest_plugin"}),
    "dramatiq": frozenset({"jobs.dramatiq", "worker"}),
    "click": frozenset({"admin_cli"}),
    "rich": frozenset({"admin_cli"}),
    **{name: frozenset({"admin_api"}) for name in ("fastapi", "starlette", "uvicorn", "jinja2", "markupsafe", "jwt")},
    "argon2": frozenset({"jobs.credentials"}),
    "sentry_sdk": frozenset({"jobs.observe"}),
    "prometheus_client": frozenset({"jobs.observe"}),
    "opentelemetry": frozenset({"jobs.observe"}),
    # The time limits read it where nothing may stand between; a test that freezes time must not stop them.
    "time": frozenset({"jobs.clock", "worker.deadline", "worker.interrupt", "worker.ticket"}),
    "random": frozenset({"jobs.clock"}),
    "secrets": frozenset({"jobs.clock", "worker.crew"}),
    "uuid_utils": frozenset({"jobs.clock"}),
    "uuid.uuid1": frozenset({"jobs.clock"}),
    "uuid.uuid4": frozenset({"jobs.clock"}),
    "datetime.datetime.now": frozenset({"jobs.clock"}),
    "datetime.datetime.utcnow": frozenset({"jobs.clock"}),
    "datetime.datetime.today": frozenset({"jobs.clock"}),
    "datetime.date.today": frozenset({"jobs.clock"}),
    "os.environ": MAINS | {"jobs.settings"},
    "os.environb": frozenset(),
    "os.getenv": MAINS | {"jobs.settings"},
}
"""Each dependency, or name in one, and the modules and packages that are its door. For types alone
(``if TYPE_CHECKING``, and annotations) any module may name it."""

NAMED_IN_TYPES = frozenset({"random"})
"""Modules that others may import for an annotation (``random.Random``); what they use of it counts."""

PUBLIC = frozenset({"jobs", "jobs.dramatiq", "jobs.testing"})
"""What an application imports of ours."""


@dataclass(frozen=True)
class Use:
    """One dotted name that a module imports, or reaches through what it imported."""

    name: str
    line: int
    is_import: bool
    is_late: bool
    is_for_types: bool


def faults(root: Path) -> list[str]:
    """Every departure of the packages below ``root`` from the drawing, one line each."""
    sources = {name: path for package in PACKAGES for name, path in modules(root, package)}
    found: list[str] = []
    by_module: dict[str, set[str]] = {name: set() for name in sources}
    by_unit: dict[str, set[str]] = {}
    for module, path in sources.items():
        if unit(module) is None:
            found.append(f"{path.relative_to(root)}: {module} is in no layer; give it a place in tests/layers.py")
            continue
        for use in uses(path, module):
            place = f"{path.relative_to(root)}:{use.line}"
            found += [f"{place}: {fault}" for fault in _through_a_wall(module, use)]
            target = _nearest(use.name, sources) if use.is_import else None
            if target is None or target == module:
                continue
            if _is_excepted(module, target) and use.is_late:
                continue
            by_module[module].add(target)
            from_unit, to_unit = unit(module), unit(target)
            if from_unit is None or to_unit is None or from_unit == to_unit:
                continue
            by_unit.setdefault(from_unit, set()).add(to_unit)
            if layer(to_unit) > layer(from_unit):
                found.append(f"{place}: {module} imports {target}, which is in a layer above it")
            elif {from_unit, to_unit} <= PROGRAMS:
                found.append(f"{place}: {module} imports {target}; programs never import each other")
    return found + _circles(by_module) + _circles(by_unit)


def application_faults(folder: Path) -> list[str]:
    """Where an application below ``folder`` imports something of ours that is not public."""
    return [
        f"{path.relative_to(folder)}:{use.line}: imports {use.name}, which is not public"
        for path in sorted(folder.rglob("*.py"))
        for use in uses(path, path.stem)
        if use.is_import and use.name.split(".")[0] in PACKAGES and not _is_public(use.name)
    ]


def modules(root: Path, package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def unit(module: str) -> str | None:
    """The entry of LAYERS that ``module`` belongs to. ``jobs`` is its own ``__init__`` only."""
    if module == "jobs":
        return "jobs"
    entries = [e for entries in LAYERS for e in entries if e != "jobs" and _is_within(module, e)]
    return max(entries, key=len, default=None)


def layer(entry: str) -> int:
    return next(number for number, entries in enumerate(LAYERS) if entry in entries)


def uses(path: Path, module: str) -> list[Use]:
    reader = _Reader(module, is_package=path.name == "__init__.py")
    reader.visit(ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return reader.found


class _Reader(ast.NodeVisitor):
    """Collects imports, at any depth, and what is reached through imported names (``dt.datetime.now``)."""

    def __init__(self, module: str, *, is_package: bool) -> None:
        self.found: list[Use] = []
        self._package = module.split(".") if is_package else module.split(".")[:-1]
        self._names: dict[str, str] = {}
        self._depth = 0
        self._types = 0

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node, is_import=True)
            top = alias.name.split(".")[0]
            self._names[alias.asname or top] = alias.name if alias.asname else top

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        start = self._package[: len(self._package) - node.level + 1] if node.level else []
        origin = ".".join([*start, *([node.module] if node.module else [])])
        for alias in node.names:
            self._add(f"{origin}.{alias.name}", node, is_import=True)
            self._names[alias.asname or alias.name] = f"{origin}.{alias.name}"

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("import_module", "__import__", "find_spec") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                self._add(first.value, node, is_import=True)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        tail, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            tail.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in self._names:
            self._add(".".join([self._names[inner.id], *reversed(tail)]), node, is_import=False)
        else:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._read_type(node.returns)
        self._depth += 1
        for part in (*node.decorator_list, node.args, *node.body):
            self.visit(part)
        self._depth -= 1

    def visit_arg(self, node: ast.arg) -> None:
        self._read_type(node.annotation)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._read_type(node.annotation)
        for part in (node.target, node.value):
            if part is not None:
                self.visit(part)

    def _read_type(self, annotation: ast.expr | None) -> None:
        self._types += 1
        if annotation is not None:
            self.visit(annotation)
        self._types -= 1

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_If(self, node: ast.If) -> None:
        for_types = ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        self._types += for_types
        for child in node.body:
            self.visit(child)
        self._types -= for_types
        for child in node.orelse:
            self.visit(child)

    def _add(self, name: str, node: ast.stmt | ast.expr, *, is_import: bool) -> None:
        self.found.append(Use(name, node.lineno, is_import, self._depth > 0, self._types > 0))


def _through_a_wall(module: str, use: Use) -> list[str]:
    if use.is_for_types:
        return []
    return [
        f"{module} uses {use.name}; the door of {name} is {', '.join(sorted(door)) or 'nowhere'}"
        for name, door in DOORS.items()
        if _is_within(use.name, name)
        and not any(_is_within(module, place) for place in door)
        # A module is told of once, where it is imported; one that types name, where it is used.
        and (use.name != name if name in NAMED_IN_TYPES else use.is_import or "." in name)
    ]


def _is_excepted(module: str, target: str) -> bool:
    return any(_is_within(module, who) and _is_within(target, what) for who, what in LATE)


def _is_public(name: str) -> bool:
    # `from jobs import Job` reads as jobs.Job, whose name is a class; a module's name is small.
    last = name.split(".")[-1]
    return any(name == public or (name == f"{public}.{last}") for public in PUBLIC) and not (
        unit(name) not in (None, *PUBLIC)
    )


def _is_within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def _nearest(name: str, known: dict[str, Path]) -> str | None:
    """The module that an import of ``name`` loads: itself, or the one that it is a name in."""
    while name not in known:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return None
    return name


def _circles(graph: dict[str, set[str]]) -> list[str]:
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as err:
        return [f"a circle of imports: {' <- '.join(err.args[1])}"]
    return []
