"""The run selector of a page's address or form, and the equal command-line options."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, QueryParams

from jobs.operations.runs.selector import SelectorInput

MAX_WHERE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The selected runs: the ticked ones, or else all that match the query and the states."""

    ids: tuple[str, ...] = ()
    where: str = ""
    states: tuple[str, ...] = ()

    @property
    def asked(self) -> SelectorInput:
        if self.ids:
            return SelectorInput(ids=self.ids, states=self.states)
        return SelectorInput(where=self.where or None, states=self.states, is_all=not (self.where or self.states))

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The hidden fields of a form, or the query of an address."""
        states = [("state", one) for one in self.states]
        if self.ids:
            return [*(("id", one) for one in self.ids), *states]
        return [*([("where", self.where)] if self.where else []), *states]

    def command(self, verb: str, options: Iterable[str] = ()) -> str:
        """The equal arguments of ``jobledger``."""
        said = [verb, *(one[-8:] for one in self.ids)]
        if not self.ids:
            said += ["--where", self.where] if self.where else []
            said += [] if self.where or self.states or verb == "list" else ["--all"]
        said += [word for one in self.states for word in ("--state", one)]
        return shlex.join([*said, *options])


def read_choice(given: FormData | QueryParams) -> Choice:
    where = str(given.get("where") or "").replace("\r", " ").replace("\n", " ").strip()
    return Choice(
        ids=tuple(str(one) for one in given.getlist("id") if one),
        where=where[:MAX_WHERE],
        states=tuple(dict.fromkeys(str(one) for one in given.getlist("state") if one)),
    )


def term(field: str, *values: str) -> str:
    """One term of the query language: ``kind:"Send invoice"``; several values are alternatives."""
    quoted = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return f"{field}:" + ",".join(f'"{one}"' for one in quoted)


def terms(said: Mapping[str, Any]) -> str:
    return " ".join(term(field, str(value)) for field, value in said.items() if value)
