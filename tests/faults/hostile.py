"""Hostile input: a corpus of values that break JSON, Unicode, SQL, Redis or terminals, and random mixtures of it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

TEXTS = [
    "", " ", "\t\r\n", "\0", "a\0b", "\ud800", "\udfff tail", "\ufeff", "\ufffe\uffff", "\U0010ffff", "\u2028\u2029",
    "\x1b[2J\x1b]0;owned\x07", "\x9b31m", "\x7f\x08\x08", "\u202eevil\u202c", "\u200b\u200d\u2060", "é e\u0301",
    "İıſß", "Z" + "\u0300" * 200, "\U0001f469\u200d\U0001f469\u200d\U0001f466", "\U0001f3f4\U000e0067\U000e007f",
    "\\u0000", "\\", '"', "'", "'; drop table job_runs; --", "$$ $1 $tag$", "%s %(n)s %%",
    "{0} {n} {{", ":name ?", "E'\\x41'", "NaN", "null", "true", "-0", "1e999", "../../etc/passwd", "<script>alert(1)",
    "look", "{ready}:now:", "x" * 5000,
]  # fmt: skip
NUMBERS: list[Any] = [
    0, -1, True, False, None, -0.0, 0.1, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan"),
    2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**30, 10**5000,
]  # fmt: skip
OTHERS: list[Any] = [
    b"\xff\x00", {1, 2}, (1, 2), 1j, object(), len, Decimal("1E400"), Decimal("NaN"), datetime(2026, 1, 1),
    datetime.max, date.min, timedelta.max, {1: "a", "1": "b"}, {None: 1}, {("a",): 1}, range(3), bytearray(b"x"),
]  # fmt: skip
BROKEN = [
    "", " ", "{", "[]", "null", "7", '"text"', "{}", '{"value": NaN}', '{"value": 1, "value": 2}', '{"valeu": 1}',
    '{"value": 1, "more": 2}', '{"value": "\\ud800"}', '{"value": "\\u0000"}', '{"value": ' + "[" * 2000,
    '{"value": ' + "[" * 500 + "]" * 500 + "}", '{"value": ' + "9" * 5000 + "}", '{"value": 1e999}', "\ufeff{}", "nan",
]  # fmt: skip
"""Arguments as no enqueue of ours writes them."""


def nested(depth: int, leaf: Any) -> Any:
    for n in range(depth):
        leaf = [leaf] if n % 2 else {"k": leaf}
    return leaf


def value(rng: Random, depth: int = 0) -> Any:
    """An argument: one of the corpus, or a mixture."""
    kind = rng.random()
    if depth < 4 and kind < 0.1:
        return [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    if depth < 4 and kind < 0.2:
        return {text(rng): value(rng, depth + 1) for _ in range(rng.randrange(5))}
    if depth == 0 and kind < 0.21:
        return nested(rng.choice([5, 30, 62, 63, 64, 65, 200, 5000]), rng.choice(TEXTS))
    if depth == 0 and kind < 0.212:
        return rng.choice(["x" * 262_144, "\0" * 50_000, [0] * 100_000])
    if depth == 0 and kind < 0.214:
        endless: list[Any] = []
        endless.append(endless)
        return endless
    if kind < 0.5:
        return rng.choice(NUMBERS)
    if kind < 0.6:
        return rng.choice(OTHERS)
    return text(rng)


def text(rng: Random) -> str:
    """One or several of the texts, or characters at random."""
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(TEXTS)
    if kind < 0.7:
        return "".join(rng.choices(TEXTS[:-1], k=3))
    return "".join(chr(rng.choice([rng.randrange(0x20), rng.randrange(0x110000)])) for _ in range(rng.randrange(12)))


def terms(rng: Random) -> dict[str, Any]:
    """Options of ``enqueue`` that no caller should give."""
    name = rng.choice(["queue", "key", "tags", "priority", "delay", "at", "expires", "on_conflict"])
    odd: Any = value(rng)
    if name == "tags":
        odd = rng.choice([[text(rng)], [odd], odd, [text(rng)] * 30])
    elif name in ("delay", "expires") and rng.random() < 0.7:
        odd = rng.choice([timedelta.max, timedelta.min, timedelta(0), timedelta(microseconds=1), timedelta(days=10**6)])
    elif name in ("at", "expires") and rng.random() < 0.7:
        odd = rng.choice([datetime.max, datetime.min, datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
    elif name == "priority" and rng.random() < 0.7:
        odd = rng.choice([2**15, -(2**15) - 1, 2**70, 100, -100])
    return {name: odd}


def member(rng: Random) -> bytes:
    """An entry of the ready index that is no run."""
    kind = rng.random()
    if kind < 0.3:
        return text(rng).encode("utf-8", "surrogatepass")
    if kind < 0.6:
        return rng.randbytes(rng.choice([0, 1, 16, 32, 5000]))
    return b"%032x" % rng.getrandbits(128)


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal to the last sign: 1 is not True, nor -0.0 zero."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
