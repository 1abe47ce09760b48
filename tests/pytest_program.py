"""``python -m pytest``, for the fork server."""

from __future__ import annotations

import sys

import pytest


def main() -> None:
    sys.exit(pytest.main(sys.argv[1:]))
