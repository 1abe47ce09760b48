"""Unsafe bytecode: the instructions at which an exception from another thread would skip a ``with`` or ``finally``.

Python raises such an exception only at calls and at backward jumps. Two facts make some of these unsafe, seen on
CPython 3.12.1 and 3.13.0 as a plain ``threading.Lock`` left held:

* from 3.12 on, the jump that ends a ``while`` inside a ``with`` or ``try`` is missing in the function's table
  of handlers, so that what is raised there leaves the function at once;
* from 3.13 on, a thread that stands at such an instruction because it waits for the global lock does not look
  again when it has it: the exception comes at the *next* such instruction, which may be that jump, or the
  first in an ``__exit__`` written in Python, before that releases anything.
"""

from __future__ import annotations

import dis
import sys
from functools import lru_cache
from types import CodeType

LANDS_LATE = sys.version_info >= (3, 13)
_ENDS = ("RETURN", "RAISE", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD", "YIELD")


@lru_cache(maxsize=256)
def unsafe_instructions(code: CodeType) -> frozenset[int]:
    """The offsets in ``code`` at which a thread must not be sent an exception."""
    table = dis.Bytecode(code)
    steps = list(table)
    entries = table.exception_entries  # type: ignore[attr-defined]  # missing in the type stubs

    def handler(offset: int) -> int | None:
        return next((entry.target for entry in entries if entry.start <= offset < entry.end), None)

    unsafe = {
        step.offset for step in steps if "JUMP_BACKWARD" in step.opname and handler(step.offset) != handler(step.argval)
    }
    if LANDS_LATE:
        exits = {steps[at].offset for at in range(3, len(steps)) if _calls_exit(steps[at - 3 : at], steps[at])}
        unsafe |= _leading_to(unsafe | exits, steps)
    return frozenset(unsafe)


def _calls_exit(before: list[dis.Instruction], step: dis.Instruction) -> bool:
    """Whether this is the call ``__exit__(None, None, None)`` at the end of a ``with``."""
    return step.opname == "CALL" and all(
        each.opname.startswith("LOAD_CONST") and each.argval is None for each in before
    )


def _leading_to(goals: set[int], steps: list[dis.Instruction]) -> set[int]:
    """The instructions after which a goal may be the next one that raises."""
    after: dict[int, set[int]] = {}
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        after[step.offset] = set()
        if following is not None and not step.opname.startswith(_ENDS):
            after[step.offset].add(following.offset)
        if step.opcode in dis.hasjrel:
            after[step.offset].add(step.argval)
    raising = {step.offset for step in steps if "CALL" in step.opname or "JUMP_BACKWARD" in step.opname}
    found: set[int] = set()
    near = goals
    while near:
        new = {offset for offset, nexts in after.items() if nexts & near} - found
        found |= new
        near = new - raising
    return found
