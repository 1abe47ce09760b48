"""Tags: words that a run is found by."""

from __future__ import annotations

import json
from collections.abc import Sequence

from jobs.errors import EnqueueRefused

MAX_TAGS, MAX_TAG = 20, 100


def write_tags(tags: Sequence[str]) -> str:
    """``tags`` as JSON, each once, in their order.

    Raises:
        EnqueueRefused: too many, too long, or not text.
    """
    if isinstance(tags, str):
        raise EnqueueRefused(f"tags= takes a list of words, got the text {tags!r}.", hint=f"Write tags=[{tags!r}].")
    once = list(dict.fromkeys(tags))
    if len(once) > MAX_TAGS:
        raise EnqueueRefused(f"A run has at most {MAX_TAGS} tags, got {len(once)}.")
    for tag in once:
        if not isinstance(tag, str) or not tag or len(tag) > MAX_TAG or not tag.isprintable():
            raise EnqueueRefused(f"{tag!r} cannot be a tag.", hint=f"Use printable text of 1 to {MAX_TAG} characters.")
    return json.dumps(once, ensure_ascii=False)
