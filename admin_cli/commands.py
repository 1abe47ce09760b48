"""The table of commands: name -> where it is. A command that does not exist is not here.

To add one: write ``admin_cli/<name>.py`` with a click command, and its line below. Help shows the table's
order.
"""

from __future__ import annotations

from admin_cli.lazy import Entry

SETUP = "Set up"

COMMANDS: dict[str, Entry] = {
    "shell-init": Entry("admin_cli.shell_init:shell_init", "Print what makes `jobs WORD` work in your shell.", SETUP),
    "completion": Entry("admin_cli.completion:completion", "Print the completion script of a shell.", SETUP),
}
