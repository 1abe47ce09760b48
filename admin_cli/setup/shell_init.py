"""`jobledger shell-init bash|zsh|fish`: a shell function that makes `jobs WORD` run jobledger.

`jobs` is a builtin of every POSIX shell. The function calls the program if the first argument starts with a
letter or ``--``; bare `jobs`, `jobs -l`, `jobs %1` and `jobs 1` still call the builtin, in the shell itself, so
that `kill $(jobs -p)` still works.
"""

from __future__ import annotations

import click

from admin_cli.program.names import NAME_VARIABLE, SHELL_INIT_VARIABLE
from admin_cli.setup.completion import SHELLS, completion_script
from admin_cli.terminal import streams

_POSIX_FUNCTION = """\
export {variable}={which}
unalias jobs 2>/dev/null || :
function jobs {{
    case "${{1-}}" in
        [a-zA-Z]* | --?*) {name}=jobs command jobledger "$@" ;;
        *) builtin jobs "$@" ;;
    esac
}}
"""

# The builtin of fish has long options, and functions of fish use them.
_FISH_FUNCTION = """\
set -gx {variable} fish
function jobs --description 'the shell\\'s jobs, or jobledger\\'s'
    set -l builtin_options --last --group --command --pid --quiet --query
    if contains -- "$argv[1]" $builtin_options
        builtin jobs $argv
    else if string match -qr '^([a-zA-Z]|--.)' -- "$argv[1]"
        env {name}=jobs jobledger $argv
    else
        builtin jobs $argv
    end
end
"""


def shell_script(shell: str) -> str:
    """The script for ``shell`` (one of ``SHELLS``): the function, and completion for both names."""
    template = _FISH_FUNCTION if shell == "fish" else _POSIX_FUNCTION
    function = template.format(variable=SHELL_INIT_VARIABLE, name=NAME_VARIABLE, which=shell)
    return function + "\n" + completion_script(shell)


@click.command("shell-init")
@click.argument("shell", type=click.Choice(SHELLS))
def shell_init(shell: str) -> None:
    """Print the shell function that makes `jobs WORD` work.

    `jobs` is also a shell builtin. With this function, `jobs list` runs `jobledger list`, while bare `jobs`,
    `jobs -l` and `jobs %1` still run the builtin. It also loads completion.

    \b
    Examples:
      eval "$(jobledger shell-init bash)"     in ~/.bashrc
      eval "$(jobledger shell-init zsh)"      in ~/.zshrc
      jobledger shell-init fish | source      in ~/.config/fish/config.fish
    """
    streams.write(shell_script(shell))
