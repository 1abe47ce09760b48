"""Refuses to begin where Python finds somebody else's module under the name of a package of ours."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from admin_cli.program.exits import Exit
from admin_cli.terminal import streams


def refuse_shadows() -> None:
    """End with one line that names it, instead of with an import that fails somewhere."""
    shadow = _shadow()
    for name in shadow.OURS:
        if (said := shadow.shadow_of(name)) is not None:
            streams.say(f"error: {said}")
            sys.exit(Exit.USAGE)


def _shadow() -> Any:
    """``jobs.shadow``, by its path: ``jobs`` itself may be somebody else's."""
    spec = spec_from_file_location("jobs_shadow", Path(__file__).parents[1] / "jobs" / "shadow.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
