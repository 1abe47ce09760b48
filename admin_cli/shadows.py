"""Refuses to start if another module hides one of our packages."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from admin_cli.program.exits import Exit
from admin_cli.terminal import streams


def refuse_shadows() -> None:
    """Exit with one line that names the module, instead of a confusing ImportError."""
    shadow = _shadow()
    for name in shadow.OURS:
        if (said := shadow.shadow_of(name)) is not None:
            streams.write_message(f"error: {said}")
            sys.exit(Exit.USAGE)


def _shadow() -> Any:
    """Load ``jobs.shadow`` by its path, because ``jobs`` itself may be hidden."""
    spec = spec_from_file_location("jobs_shadow", Path(__file__).parents[1] / "jobs" / "shadow.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
