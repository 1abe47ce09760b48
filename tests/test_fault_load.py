"""`make faults` gives its tests their full load, and `make test` a short one."""

from __future__ import annotations

import re

from tests.faults.fleet import ROOT
from tests.faults.load import selects_full


def test_make_faults_runs_each_test_in_full_and_make_test_does_not() -> None:
    found = re.findall(r'-m "([^"]+)"', (ROOT / "Makefile").read_text())

    assert {one for one in found if selects_full(one)} == {"faults and not alone", "faults and alone"}
    assert {one for one in found if not selects_full(one)} == {"short or not (faults or long)"}
