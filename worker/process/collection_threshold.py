"""How many objects a worker process makes before Python looks for garbage among them.

Every run makes some tens of objects that live until its attempt is settled, and hundreds of runs are under way. With
Python's own threshold of 700 objects they are searched, in vain, several times in their short life.
"""

from __future__ import annotations

import gc

OBJECTS = 5_000
"""Source: measured; five per cent less processor time a run than with 700, and no less with 50,000."""


def raise_collection_threshold() -> None:
    """Look for garbage less often, unless the application has turned that off or does so already."""
    young, *older = gc.get_threshold()
    if 0 < young < OBJECTS:
        gc.set_threshold(OBJECTS, *older)
