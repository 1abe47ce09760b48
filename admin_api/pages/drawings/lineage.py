"""Draws the lineage of a run, from its ancestors at the left to its children and replays at the right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from admin_api.pages.frame.template_filters import tone, word_of
from jobs.formats.short_id import short_id
from jobs.ledger.run_records import RunRecord
from jobs.operations.runs.detail import Detail

BOX, TALL, GAP_X, GAP_Y = 200, 44, 56, 14
MOST = 8
"""The maximum number of children, and of replays, in the drawing; the page links to the others."""


@dataclass(frozen=True, slots=True)
class Node:
    """A run as a box. ``role`` is its relation to the run in the middle."""

    id: str
    kind: str
    says: str
    tone: str
    role: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class LineageDrawing:
    """Boxes and the lines between them: ``(x1, y1, x2, y2, is_replay)``."""

    nodes: list[Node]
    edges: list[tuple[int, int, int, int, bool]]
    width: int
    height: int
    left_out: int
    box: int = BOX
    tall: int = TALL


def draw_lineage(run: RunRecord, seen: Detail, *, now: datetime) -> LineageDrawing | None:
    """The drawing; None for a run without relations."""
    origins = list({one.id: (name, one) for name, one in seen.origins.items() if one.id != run.id}.values())
    # The parent is nearer than the root.
    origins = sorted(origins, key=lambda each: ("root", "parent", "replayed_from").index(each[0]))
    coming = [("child", one) for one in seen.children.items[:MOST]] + [
        ("replay", one) for one in seen.replays.items[:MOST]
    ]
    if not origins and not coming:
        return None
    left, right = _column(origins), _column(coming)
    height = max(left, right, TALL)
    middle_x = BOX + GAP_X if origins else 0
    nodes = [_node(run, "this", middle_x, (height - TALL) // 2, now)]
    edges = []
    centre = height // 2
    for number, (name, one) in enumerate(origins):
        y = (height - left) // 2 + number * (TALL + GAP_Y)
        nodes.append(_node(one, {"replayed_from": "replayed from"}.get(name, name), 0, y, now))
        edges.append((BOX, y + TALL // 2, middle_x, centre, name == "replayed_from"))
    for number, (name, one) in enumerate(coming):
        y = (height - right) // 2 + number * (TALL + GAP_Y)
        nodes.append(_node(one, name, middle_x + BOX + GAP_X, y, now))
        edges.append((middle_x + BOX, centre, middle_x + BOX + GAP_X, y + TALL // 2, name == "replay"))
    width = middle_x + BOX + ((GAP_X + BOX) if coming else 0)
    left_out = len(seen.children.items) + len(seen.replays.items) - len(coming)
    return LineageDrawing(nodes, edges, width, height, left_out)


def _column(column: list[tuple[str, RunRecord]]) -> int:
    return len(column) * (TALL + GAP_Y) - GAP_Y if column else 0


def _node(run: RunRecord, role: str, x: int, y: int, now: datetime) -> Node:
    word = word_of(run, now)
    kind = run.kind if len(run.kind) <= 24 else run.kind[:23] + "…"
    return Node(str(run.id), kind, f"{role} · {short_id(run.id)} · {word}", tone(word), role, x, y)
