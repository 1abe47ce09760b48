"""Reads the folders of the source: their floors, their size, circles of imports, and the doors of dependencies.

``python -m tests.layers`` prints the folders with their floors and counts.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.imported_names import Use, uses

PACKAGES = ("jobs", "worker", "scheduler", "admin_cli", "admin_api")

MOST_MODULES = 20
"""In one folder, beside its ``__init__``."""

PROGRAMS = frozenset({"worker", "scheduler", "admin_cli", "admin_api"})
"""They never import each other, and ``jobs`` imports none of them, except as ``STARTED_BY`` says."""

STARTED_BY: dict[str, frozenset[str]] = {
    "admin_cli": frozenset({"worker", "scheduler", "admin_api"}),
    "jobs.django": frozenset({"admin_api", "admin_cli"}),
    "jobs.dramatiq": frozenset({"worker"}),
    "jobs.fastapi": frozenset({"admin_api"}),
    "jobs.flask": frozenset({"admin_api"}),
    "jobs.web": frozenset({"worker"}),
    "jobs.testing": frozenset({"worker"}),
}
"""Who may import which program, inside a function only: the CLI starts the processes, ``manage.py jobs`` runs the
CLI, ``LedgerBroker.consume`` loads what serves a plain dramatiq worker when one first asks, and ``jobs.testing`` makes
attempts as a worker does."""

LOOSE = frozenset({"jobs"})
"""Folders whose modules are at the bottom and at the top of the house (errors, settings; App), each on its own
floor."""

SQL = frozenset({"jobs.database", "jobs.migration", "jobs.ledger"})
MAINS = frozenset({"worker.main", "scheduler.main", "admin_cli", "admin_api.main", "jobs.django.management"})

DOORS: dict[str, frozenset[str]] = {
    "sqlalchemy": SQL,
    "sqlite3": SQL,
    "aiosqlite": SQL,
    "psycopg": SQL,
    "asyncpg": SQL,
    "django": frozenset({"jobs.database.transactions.django_alias", "jobs.django"}),
    "django_tasks": frozenset({"jobs.django"}),
    "asgiref": frozenset({"jobs.database.transactions.coroutines", "jobs.django"}),
    "alembic": frozenset({"jobs.migration"}),
    "redis": frozenset({"jobs.ready"}),
    "pytest": frozenset({"jobs.pytest_plugin"}),
    "dramatiq": frozenset({"jobs.messages", "jobs.dramatiq", "worker"}),
    "pika": frozenset({"jobs.dramatiq.rabbit_queues"}),
    "click": frozenset({"admin_cli"}),
    "rich": frozenset({"admin_cli"}),
    **{name: frozenset({"admin_api"}) for name in ("uvicorn", "jinja2", "markupsafe", "jwt")},
    **{name: frozenset({"admin_api", "jobs.fastapi"}) for name in ("fastapi", "starlette")},
    "flask": frozenset({"jobs.flask"}),
    **{name: frozenset({"admin_cli.mcp"}) for name in ("mcp", "mcp_types")},
    "cryptography": frozenset({"jobs.sealing"}),
    **{name: frozenset({"jobs.storage.s3_store"}) for name in ("boto3", "botocore")},
    "argon2": frozenset({"jobs.operations.access.credentials"}),
    "sentry_sdk": frozenset({"jobs.observe"}),
    "prometheus_client": frozenset({"jobs.observe"}),
    "opentelemetry": frozenset({"jobs.observe"}),
    # Time limits read the clock itself: a test that freezes time must not stop them.
    "time": frozenset({"jobs.clock", "worker.timeouts"}),
    "random": frozenset({"jobs.clock"}),
    "secrets": frozenset({"jobs.clock", "worker.supervisor.process_group"}),
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
"""Each dependency, or name in one, and the folders and modules that may use it. For types alone
(``if TYPE_CHECKING``, and annotations) any module may name it."""

NAMED_IN_TYPES = frozenset({"random"})
"""Modules that others may import for an annotation (``random.Random``); what they use of it counts."""

PUBLIC = frozenset({"jobs", "jobs.fastapi", "jobs.flask", "jobs.django", "jobs.dramatiq", "jobs.testing"})
"""What an application imports of ours."""


@dataclass(frozen=True)
class Folder:
    """One folder of ours: how far up it stands, what it is for, and how many modules it has."""

    name: str
    floor: int
    idea: str
    count: int


def faults(root: Path) -> list[str]:
    """Everything below ``root`` that breaks a rule of the layout, one line each."""
    sources = {name: path for package in PACKAGES for name, path in modules(root, package)}
    found: list[str] = []
    for module, path in sources.items():
        for use in uses(path, module):
            place = f"{path.relative_to(root)}:{use.line}"
            found += [f"{place}: {fault}" for fault in (*_through_a_wall(module, use), *_of_programs(module, use))]
    by_module, by_folder = _graphs(sources)
    counts = _counts(sources)
    found += [
        f"{name}: {count} modules, and {MOST_MODULES} at most" for name, count in counts.items() if count > MOST_MODULES
    ]
    return found + _circles(by_module) + _circles(by_folder)


def folders(root: Path) -> list[Folder]:
    """Every folder, the ground floor first. A folder stands one floor above the highest that it imports."""
    sources = {name: path for package in PACKAGES for name, path in modules(root, package)}
    _, graph = _graphs(sources)
    counts = _counts(sources)
    floors: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(graph).static_order():
        floors[name] = 1 + max((floors[below] for below in graph.get(name, ())), default=-1)
    return sorted(
        (Folder(name, floors.get(name, 0), _idea(root, name), count) for name, count in counts.items()),
        key=lambda folder: (folder.floor, folder.name),
    )


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


def _graphs(sources: dict[str, Path]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """What each module imports of ours, and each folder of other folders."""
    by_module: dict[str, set[str]] = {name: set() for name in sources}
    by_folder: dict[str, set[str]] = {}
    for module, path in sources.items():
        home = _folder(module, path)
        for use in uses(path, module):
            target = _nearest(use.name, sources) if use.is_import else None
            if target is None or target == module:
                continue
            by_module[module].add(target)
            other = _folder(target, sources[target])
            if other != home:
                by_folder.setdefault(home, set()).add(other)
    return by_module, by_folder


def _folder(module: str, path: Path) -> str:
    """The folder that a module belongs to. A module directly in ``jobs`` stands on a floor of its own."""
    folder = module.rpartition(".")[0]
    return module if path.name == "__init__.py" or folder in LOOSE else folder


def _counts(sources: dict[str, Path]) -> dict[str, int]:
    """Modules of each folder, its ``__init__`` not counted."""
    counts = {name: 0 for name, path in sources.items() if path.name == "__init__.py"}
    for name, path in sources.items():
        if path.name != "__init__.py":
            folder = name.rpartition(".")[0]
            counts[folder] = counts.get(folder, 0) + 1
    return counts


def _idea(root: Path, folder: str) -> str:
    """The first line of the folder's ``__init__``; empty where it has none."""
    path = root / folder.replace(".", "/") / "__init__.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else None
    return (text or "").partition("\n")[0]


def _of_programs(module: str, use: Use) -> list[str]:
    """Whether ``module`` may import the program that ``use`` is in, and whether it does so in a function."""
    program = use.name.split(".")[0]
    if not use.is_import or program not in PROGRAMS or program == module.split(".")[0]:
        return []
    allowed = next((names for who, names in STARTED_BY.items() if _is_within(module, who)), frozenset())
    if program not in allowed:
        return [f"{module} imports {use.name}; a program is imported by what starts it only"]
    return [] if use.is_late else [f"{module} imports {use.name} at once; import it in the function that needs it"]


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


def _is_public(name: str) -> bool:
    # `from jobs import Job` reads as jobs.Job, which is no module of ours.
    root = Path(__file__).resolve().parent.parent
    path = root / name.replace(".", "/")
    return name in PUBLIC or (
        name.rpartition(".")[0] in PUBLIC and not path.is_dir() and not path.with_suffix(".py").is_file()
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


def main() -> int:
    """Print the folders from the top floor down, the counts, and every fault."""
    root = Path(__file__).resolve().parent.parent
    found = faults(root)
    if any("circle" in fault for fault in found):
        print(*found, sep="\n")
        return 1
    rows = folders(root)
    for row in sorted(rows, key=lambda row: (-row.floor, row.name)):
        print(f"{row.floor:>3}  {row.name:<28} {row.count:>3}  {row.idea}")
    print(
        f"\n{len(rows)} folders on {rows[-1].floor + 1} floors, {sum(row.count for row in rows)} modules, "
        f"at most {max(row.count for row in rows)} in one folder; {len(found)} faults"
    )
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
