"""The query language of ``--where``: ``state:dead kind:Charge* args.order_id:42 error:"Timeout*" age:>1h``.

Terms are ``field:value``, separated by spaces, and must all match; a comma separates alternatives; quotes protect
spaces and commas. A caret below the query shows the column of a mistake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.errors import SelectorRefused
from jobs.formats.nearest import did_you_mean

FIELDS = (
    "id", "kind", "queue", "state", "cause", "fingerprint", "error", "key", "tag", "parent", "batch", "held", "attempt",
    "age", "since", "until",
)  # fmt: skip
COMPARED = ("age", "attempt")
_SIGNS = (">=", "<=", ">", "<", "=")
_FIELD = re.compile(r"[A-Za-z_][\w.\-]*")


@dataclass(frozen=True, slots=True)
class Term:
    """One ``field:value``. ``path`` is the argument's path for ``args.…``; ``sign`` is a comparison, or ``=``."""

    field: str
    values: tuple[str, ...]
    column: int
    sign: str = "="
    path: str = ""


def parse(text: str) -> list[Term]:
    """The terms of ``text``.

    Raises:
        SelectorRefused: it is not a valid query; ``pointer`` shows where.
    """
    terms: list[Term] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        term, at = _term(text, at)
        terms.append(term)
    return terms


def refuse(text: str, at: int, why: str, hint: str | None = None) -> SelectorRefused:
    """The error that points at column ``at`` (from 0) of ``text``."""
    plain = text.replace("\n", " ").replace("\t", " ")
    start = max(0, at - 50)
    return SelectorRefused(
        f"--where, column {at + 1}: {why}", pointer=(plain[start : start + 76], " " * (at - start) + "^"), hint=hint
    )


def _term(text: str, start: int) -> tuple[Term, int]:
    named = _FIELD.match(text, start)
    if named is None:
        raise refuse(text, start, f"a field is expected, not {text[start]!r}.", "Write field:value, as in state:dead.")
    name, at = named.group(), named.end()
    if at >= len(text) or text[at] != ":":
        raise refuse(text, at, f"{name!r} is not followed by a colon.", f"Write field:value, as in error:{name}.")
    field, path = _field(text, name, start)
    at += 1
    value_at = at
    sign = next((one for one in _SIGNS if text.startswith(one, at)), "") if field in COMPARED else ""
    values, at = _values(text, at + len(sign))
    if field in COMPARED and (len(values) != 1 or (field == "age" and sign in ("", "="))):
        example = "age:>1h" if field == "age" else "attempt:>3"
        raise refuse(text, value_at, f"{field} takes one value to compare with.", f"Write {example}.")
    return Term(field, tuple(values), value_at, sign or "=", path), at


def _field(text: str, name: str, start: int) -> tuple[str, str]:
    head, dot, path = name.partition(".")
    if head in ("args", "arg") and dot:
        if not path or path.endswith("."):
            raise refuse(text, start + len(name), "the argument has no name.", "Write args.order_id:42.")
        return "args", path
    if name not in FIELDS:
        hint = did_you_mean(name, (*FIELDS, "args"), otherwise=f"Fields: {', '.join(FIELDS)}, args.NAME.")
        raise refuse(text, start, f"no field {name!r}.", hint)
    return name, ""


def _values(text: str, at: int) -> tuple[list[str], int]:
    values: list[str] = []
    while True:
        value, at = _value(text, at)
        values.append(value)
        if at >= len(text) or text[at] != ",":
            return values, at
        at += 1


def _value(text: str, at: int) -> tuple[str, int]:
    if at < len(text) and text[at] in "\"'":
        quote, begun, said = text[at], at, []
        at += 1
        while at < len(text) and text[at] != quote:
            if text[at] == "\\" and at + 1 < len(text):
                at += 1
            said.append(text[at])
            at += 1
        if at >= len(text):
            raise refuse(text, begun, "this quote is never closed.")
        at += 1
        if at < len(text) and not text[at].isspace() and text[at] != ",":
            raise refuse(text, at, "a space is expected after the quote.")
        return "".join(said), at
    ended = re.compile(r"[^\s,]*").match(text, at)
    value = ended.group() if ended else ""
    if not value:
        raise refuse(text, at, "a value is expected.", 'Quote what holds spaces or commas: error:"not found".')
    return value, at + len(value)
