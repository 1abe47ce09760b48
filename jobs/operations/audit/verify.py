"""Verifies the audit chain: whether a row of the audit was altered, removed, inserted, moved or cut off by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobs.app import App
from jobs.database.sql import Executor
from jobs.errors import Conflict, SelectorRefused
from jobs.ledger.operators import audit_chain as chain
from jobs.ledger.operators.audit_chain import Head, Link
from jobs.ledger.operators.audit_links import (
    BEGUN,
    ENDED,
    PRUNED,
    RESUMED,
    RUNS,
    UNDONE,
    digest_of,
    entry_digest,
    entry_text,
)
from jobs.operations.audit.operator import Operator, Permission

LOOK_AHEAD = 1000
"""Links that are searched for one that was moved. Source: decision."""


@dataclass(frozen=True, slots=True)
class AuditFault:
    """The first row that is not as it was written."""

    what: str
    """``altered``, ``removed``, ``inserted``, ``reordered`` or ``truncated``."""
    row: str
    why: str

    def __str__(self) -> str:
        return f"{self.row} was {self.what}: {self.why}"


@dataclass(slots=True, kw_only=True)
class Verification:
    """What was verified. ``pending`` links have no place in the chain yet; ``before_chain`` actions have no links."""

    links: int = 0
    actions: int = 0
    runs: int = 0
    pending: int = 0
    pruned: int = 0
    before_chain: int = 0
    head: Head | None = None
    fault: AuditFault | None = None


class _Found(Exception):
    def __init__(self, what: str, row: str, why: str) -> None:
        self.fault = AuditFault(what, row, why)


def verify(app: App, operator: Operator, *, anchor: str | None = None) -> Verification:
    """Verify the whole audit, in one snapshot of the ledger. Changes nothing.

    Args:
        anchor: a head that ``anchor`` printed earlier; the chain must still contain it.

    Raises:
        Forbidden: the operator may not read the audit.
        SelectorRefused: ``anchor`` is none.
    """
    operator.need(Permission.AUDIT_READ)
    kept = _read_anchor(anchor) if anchor is not None else None
    result = Verification()
    with app.database.snapshot() as connection:
        try:
            _verify_links(connection, result, kept)
            _verify_actions(connection, result)
        except _Found as found:
            result.fault = found.fault
    return result


def anchor(app: App, operator: Operator) -> Head:
    """Add the waiting links to the chain and return its head: keep it elsewhere, for ``verify``.

    Raises:
        Conflict: the head's row is gone.
    """
    operator.need(Permission.AUDIT_READ)
    while True:
        with app.database.write(urgent=True) as connection:
            if not chain.chain_pending(connection):
                head = chain.head_of(connection)
                if head is None:
                    raise Conflict("The head of the audit chain is gone.", hint="jobledger audit verify says more.")
                return head


def _read_anchor(text: str) -> Head:
    seq, _, digits = text.strip().partition(":")
    if not seq.isdecimal() or len(seq) > 10 or len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise SelectorRefused(f"{text!r} is no anchor.", hint="jobledger audit anchor prints one: NUMBER:HASH.")
    return Head(int(seq), digits)


def _verify_links(session: Executor, result: Verification, kept: Head | None) -> None:
    start = chain.start_of(session)
    if start is None:
        raise _Found("removed", "the first link of the chain", "there is none")
    # The pruner deletes the beginning of the chain, and says in a link where it starts now.
    seq, last = (start.batch, start.digest) if start.batch is not None else (0, chain.NOTHING)
    if kept is not None and kept.seq < seq:
        raise Conflict(
            f"The anchor is at link {kept.seq}, and the pruner has deleted the chain up to link {seq}.",
            hint="Verify with a later anchor.",
        )
    if kept is not None and kept == (seq, last):
        kept = None
    begun: list[UUID] = []
    for link in chain.links_after(session, 0):
        result.links += 1
        if link.seq != seq + 1:
            raise _Found("removed", f"link {seq + 1} of the chain", f"link {link.seq} follows link {seq}")
        if chain.hash_of(link, seq + 1, last) != link.hash:
            raise _Found(*_moved_or_altered(session, link, seq, last))
        seq, last = seq + 1, link.hash
        if kept is not None and kept.seq == seq and kept.hash != last:
            raise _Found("altered", f"link {seq} of the chain", "the anchor has another hash for it")
        if link.part == BEGUN and link.action_id is not None:
            begun.append(link.action_id)
        if len(begun) >= chain.PAGE:
            _check_known(session, begun)
            begun.clear()
    _check_known(session, begun)
    result.pending = chain.count_pending(session)
    result.head = chain.head_of(session)
    if result.head is None:
        raise _Found("removed", "the head of the chain", "its row is gone")
    for name, there in (("head", result.head), ("anchor", kept)):
        if there is not None and there.seq > seq:
            raise _Found("truncated", f"link {seq + 1} of the chain", f"the {name} is at link {there.seq}")
    if result.head != (seq, last):
        raise _Found("altered", "the head of the chain", f"it is not that of link {seq}")


def _moved_or_altered(session: Executor, link: Link, seq: int, last: str) -> tuple[str, str, str]:
    """Whether another link belongs at this place, or this one was altered."""
    row = f"link {seq + 1} of the chain"
    for other, _ in zip(chain.links_after(session, seq + 1), range(LOOK_AHEAD), strict=False):
        if chain.hash_of(other, seq + 1, last) in (link.hash, other.hash):
            return "reordered", row, f"the link that belongs there is link {other.seq} now"
    return "altered", row, "its hash does not fit what it says and the link before it"


def _check_known(session: Executor, action_ids: Sequence[UUID]) -> None:
    known = chain.known_actions(session, action_ids)
    gone = [one for one in action_ids if one not in known]
    links = chain.links_of(session, gone) if gone else {}
    for action_id in gone:
        if all(link.part != PRUNED for link in links[action_id]):
            raise _Found(
                "removed", f"action {action_id}", "its links are in the chain, and the pruner did not delete it"
            )


def _verify_actions(session: Executor, result: Verification) -> None:
    start = chain.start_of(session)
    if start is None:
        raise _Found("removed", "the first link of the chain", "there is none")
    after: UUID | None = None
    while page := chain.actions_after(session, after):
        links = chain.links_of(session, [one["id"] for one in page])
        for action in page:
            result.actions += 1
            mine = links.get(action["id"], [])
            if action["started_at"] < start.written_at and all(link.part != BEGUN for link in mine):
                result.before_chain += 1
                continue
            _verify_action(session, action, mine, result)
        after = page[-1]["id"]
    lost = chain.entry_without_action(session)
    if lost is not None:
        raise _Found("inserted", f"run {lost[1]} of action {lost[0]}", "there is no such action")
    result.pruned, before = chain.pruned_counts(session)
    if result.before_chain + before != start.size:
        what = "removed" if result.before_chain + before < start.size else "inserted"
        raise _Found(what, "an action from before the chain", f"there were {start.size:,} when the chain began")


def _verify_action(session: Executor, action: dict[str, Any], links: list[Link], result: Verification) -> None:
    row = f"action {action['id']}"
    parts = {link.part: link for link in links}
    if BEGUN not in parts:
        raise _Found("inserted", row, "the chain does not have it")
    if parts[BEGUN].digest != action["begun"]:
        raise _Found("altered", row, "it is not what the operator asked for")
    last = next(link for link in reversed(links) if link.part in (BEGUN, RESUMED, ENDED))
    if (last.part == ENDED) != (action["state"] != "running"):
        raise _Found("altered", row, f"its state is {action['state']}, and its last link is {last.part}")
    if last.part == ENDED and last.digest != action["ended"]:
        raise _Found("altered", row, "its end is not the one on record")
    undone = digest_of([action["undone_by"]]) if action["undone_by"] is not None else None
    if undone != (parts[UNDONE].digest if UNDONE in parts else None):
        raise _Found("altered", row, "who undid it is not who is on record")
    if PRUNED not in parts:
        _verify_runs(session, action["id"], [link for link in links if link.part == RUNS], result)


def _verify_runs(session: Executor, action_id: UUID, links: list[Link], result: Verification) -> None:
    """Each batch of an action's entries has the digest of its link, and there is no entry besides."""
    hashes = {link.batch: hashlib.blake2b(digest_size=32) for link in links}
    for batch, entry in chain.entries_after(session, action_id):
        result.runs += 1
        if batch not in hashes:
            raise _Found("inserted", f"run {entry[0]} of action {action_id}", "no link covers it")
        hashes[batch].update(entry_text(entry))
    for link in links:
        if hashes[link.batch].hexdigest() != link.digest:
            raise _Found(*_first_difference(session, action_id, link))


def _first_difference(session: Executor, action_id: UUID, link: Link) -> tuple[str, str, str]:
    wanted = chain.row_digests_of(session, link)
    there = list(_row_digests(session, action_id, link.batch))
    where = f"of action {action_id}"
    for place, (run_id, digest) in enumerate(there):
        if place < len(wanted) and digest == wanted[place]:
            continue
        rest, following = wanted[place:], [one for _, one in there[place + 1 :]]
        if not rest or rest[0] in following:
            return "inserted", f"run {run_id} {where}", "no link covers it"
        if digest in rest:
            return "removed", f"a run before {run_id} {where}", f"its batch had {link.size} runs"
        return "altered", f"run {run_id} {where}", "it is not what the action did"
    if len(there) < len(wanted):
        last = f"a run after {there[-1][0]} {where}" if there else f"every run of batch {link.batch} {where}"
        return "removed", last, f"its batch had {link.size} runs"
    return "altered", f"batch {link.batch} {where}", "its digest is not that of its runs"


def _row_digests(session: Executor, action_id: UUID, batch: int | None) -> Iterator[tuple[UUID, str]]:
    for one, entry in chain.entries_after(session, action_id):
        if one == batch:
            yield entry[0], entry_digest(entry_text(entry))
