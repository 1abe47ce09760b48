"""The garbage collector of a command, which is off until the command has imported what it needs.

What modules make stays, so the collector would search it again and again and find nothing: a tenth of a short command.
"""

from __future__ import annotations

import gc


def pause() -> None:
    """Do not collect garbage from now on."""
    gc.disable()


def resume() -> None:
    """Collect garbage from now on, except among what exists now; nothing if it was not paused."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
