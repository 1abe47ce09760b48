"""Reads what a module imports, and what it reaches through the names that it imported.

Late imports, imports for types and ``import_module("…")`` count like every other import.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Use:
    """One dotted name that a module imports, or reaches through what it imported."""

    name: str
    line: int
    is_import: bool
    is_late: bool
    is_for_types: bool


def uses(path: Path, module: str) -> tuple[Use, ...]:
    """All that the source at ``path``, of the module of this dotted name, imports and reaches."""
    return _uses_in(path.read_text(encoding="utf-8"), module, path.name == "__init__.py")


@cache
def _uses_in(text: str, module: str, is_package: bool) -> tuple[Use, ...]:
    reader = _Reader(module, is_package=is_package)
    reader.visit(ast.parse(text))
    return tuple(reader.found)


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
