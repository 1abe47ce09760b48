"""Tags: words to find a run by."""

from __future__ import annotations

import json
from collections.abc import Sequence

from jobs.errors import EnqueueRefused
from jobs.formats.shown import shown

MAX_TAGS, MAX_TAG = 20, 100


def write_tags(tags: Sequence[str] | None) -> str | None:
    """``tags`` as JSON, without duplicates, in their order; None if there are none.

    Raises:
        EnqueueRefused: too many, too long, or not text.
    """
    if tags is None or tags == ():
        return None
    if isinstance(tags, str):
        raise EnqueueRefused(
            f"tags= takes a list of words, got the text {shown(tags)}.", hint=f"Write tags=[{shown(tags)}]."
        )
    if not isinstance(tags, Sequence | set | frozenset):
        raise EnqueueRefused(f"tags= takes a list of words, got {shown(tags)}.")
    for tag in tags:
        if not isinstance(tag, str) or not tag or len(tag) > MAX_TAG or not tag.isprintable():
            raise EnqueueRefused(
                f"{shown(tag)} cannot be a tag.", hint=f"Use printable text of 1 to {MAX_TAG} characters."
            )
    once = list(dict.fromkeys(tags))
    if len(once) > MAX_TAGS:
        raise EnqueueRefused(f"A run has at most {MAX_TAGS} tags, got {len(once)}.")
    return json.dumps(once, ensure_ascii=False) if once else None
