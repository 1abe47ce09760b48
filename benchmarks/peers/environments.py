"""An environment of its own for each library, under ``artifacts/peers``: made once, and again when its pins change."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.kit.places import ROOT
from benchmarks.peers.peer import Peer

FOLDER = ROOT / "artifacts" / "peers"
NEWEST_MINOR = 15
VERSIONS = "import importlib.metadata as m, platform, sys; print(m.version(sys.argv[1]), platform.python_version())"


class Missing(Exception):
    """The library cannot be had here; says why."""


def python_of(peer: Peer, given: str | None) -> Path:
    """The Python with the library installed; made if need be.

    Args:
        given: a Python for those that need a newer one than this.

    Raises:
        Missing: there is no Python for it, or pip could not install it.
    """
    if not peer.requires:
        return Path(sys.executable)
    folder = FOLDER / peer.package
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = "\n".join(peer.requires)
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    print(f"installing {', '.join(peer.requires)}", flush=True)
    subprocess.run([_base(peer, given), "-m", "venv", str(folder)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.requires]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"pip could not install it: {done.stderr.strip().splitlines()[-1]}")
    stamp.write_text(wanted)
    return python


def versions(python: Path, package: str) -> dict[str, str]:
    """Of an installed distribution, and of its Python."""
    said = subprocess.run([python, "-c", VERSIONS, package], capture_output=True, text=True, check=True)
    return dict(zip(("version", "python"), said.stdout.split(), strict=True))


def _base(peer: Peer, given: str | None) -> str:
    """A Python that is new enough: this one, the one given, or one that is on the path."""
    if sys.version_info[:2] >= peer.python:
        return sys.executable
    numbers = range(peer.python[1], NEWEST_MINOR + 1)
    for one in filter(None, (given, *(f"python3.{minor}" for minor in numbers))):
        check = f"import sys, venv, ensurepip; sys.exit(sys.version_info < {peer.python})"
        # A shim that is on the path may stand for a Python that is not there, so each is run before it is believed.
        if shutil.which(one) and not subprocess.run([one, "-c", check], capture_output=True).returncode:
            return one
    raise Missing(f"it needs Python {peer.python[0]}.{peer.python[1]} or later; name one with --python")
