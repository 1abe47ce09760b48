"""Counts and hashes the files of a folder; `jobs demo` compares the ledger with the result.

It runs in a process of its own and imports no job code: ``python file_hashes.py FOLDER`` prints one JSON object
of path -> [size, sha256, lines].
"""

from __future__ import annotations

import hashlib
import json
import os
import sys

SKIPPED = frozenset({"__pycache__", "site-packages", "dist-packages", ".git", ".venv", "node_modules"})


def files_below(folder: str) -> list[str]:
    """Every readable regular file below ``folder``, sorted; without caches and installed packages."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one not in SKIPPED)
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path) and not os.path.islink(path) and os.access(path, os.R_OK):
                found.append(path)
    return sorted(found)


def main() -> None:
    seen = {}
    for path in files_below(sys.argv[1]):
        with open(path, "rb") as file:
            data = file.read()
        seen[path] = [len(data), hashlib.sha256(data).hexdigest(), len(data.splitlines())]
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
