"""benchmarks/peers/adapters: each says all that the driver needs, and the driver needs none of the libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers.adapters import NAMES, load

ROOT = Path(__file__).resolve().parents[3]
IMPORTED = """
import sys
from benchmarks.peers import body, client, runner
from benchmarks.peers.adapters import NAMES, load
peers = [load(name) for name in NAMES]
print(" ".join({name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names))
"""


def test_the_adapters_import_nothing_but_python_where_they_are_collected() -> None:
    # No site-packages (-S): whatever they import besides is missing, so that this fails.
    argv = [sys.executable, "-S", "-c", IMPORTED]
    done = subprocess.run(argv, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"__main__", "benchmarks"} - sys.stdlib_module_names


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_pins_what_it_installs_and_says_what_the_table_shows(name: str) -> None:
    peer = load(name)

    assert peer.adapter == name
    assert all("==" in requirement for requirement in peer.requires)
    assert peer.package == "jobledger" or any(one.startswith(peer.package) for one in peer.requires)
    assert peer.name
    assert peer.keeps
    assert 0 < peer.share <= 1


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_starts_as_many_processes_as_it_is_asked_for(name: str) -> None:
    commands = load(name).workers(2)

    assert len(commands) == 2 or (len(commands) == 1 and "2" in commands[0])


def test_names_differ_and_an_unknown_one_is_refused_with_those_there_are() -> None:
    assert len({load(name).name for name in NAMES}) == len(NAMES)
    with pytest.raises(ValueError, match=r"no adapter 'arq'; there are .*pgqueuer"):
        load("arq")


def test_an_adapter_stays_small() -> None:
    files = sorted((ROOT / "benchmarks" / "peers" / "adapters").glob("*.py"))

    assert len(files) > 5
    assert {path.name: lines for path in files if (lines := len(path.read_text().splitlines())) > 80} == {}
