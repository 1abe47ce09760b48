"""The installed version of this package. Reading it parses the package's metadata, which takes a megabyte."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def installed_version() -> str:
    """The version that a worker registers; ``source`` if the package is not installed."""
    try:
        return version("jobledger")
    except PackageNotFoundError:
        return "source"
