"""The script of a fresh interpreter: sets the import path, then runs a zygote or a worker.

It is run by path and with ``-P``, so that nothing in the current folder can shadow our packages. The payload comes
in a file without a name: settings may hold secrets, and every user of the machine can see command-line arguments.
"""

import json
import os
import sys
from importlib import import_module

if __name__ == "__main__":
    with open(int(sys.argv[2]), "rb") as _file:
        _payload = json.load(_file)
    sys.path[:] = _payload["path"]
    sys.argv[1:] = []
    for _fd in _payload["fds"]:
        os.set_inheritable(_fd, False)  # A program that a job starts must not inherit our sockets.
    import_module(_payload["module"]).main(_payload)
    os._exit(0)
