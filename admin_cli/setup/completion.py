"""`jobledger completion bash|zsh|fish`: click's own completion, for both names of the program."""

from __future__ import annotations

import click

from admin_cli.program.names import COMPLETE_VARIABLE, PROGRAM
from admin_cli.terminal import streams

SHELLS = ("bash", "zsh", "fish")

# The builtin completes %1; `jobledger` completes everything else, for `jobs` too.
_BASH_JOBS = """
_jobledger_jobs_completion() {
    case "${COMP_WORDS[COMP_CWORD]}" in
        %*) COMPREPLY=($(compgen -j -P % -- "${COMP_WORDS[COMP_CWORD]#%}")) ;;
        *) _jobledger_completion jobledger ;;
    esac
}
complete -o nosort -F _jobledger_jobs_completion jobs
"""

_ZSH_JOBS = """
compdef _jobledger_completion jobs
"""

_ZSH_NEEDS_COMPINIT = """
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u }
"""

_FISH_JOBS = """
complete --no-files --command jobs --arguments "(_jobledger_completion)"
"""


def completion_script(shell: str) -> str:
    """The completion script for ``shell`` (one of ``SHELLS``), for ``jobledger`` and ``jobs``."""
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    if complete is None:
        raise LookupError(f"click has no completion for {shell}")
    script = complete(click.get_current_context().find_root().command, {}, PROGRAM, COMPLETE_VARIABLE).source()
    if shell == "bash":
        return script + _BASH_JOBS
    if shell == "zsh":
        return _ZSH_NEEDS_COMPINIT + script + _ZSH_JOBS
    return script + _FISH_JOBS


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    `shell-init` loads it too; use this command for completion only.

    \b
    Examples:
      eval "$(jobledger completion bash)"
      jobledger completion fish > ~/.config/fish/completions/jobledger.fish
    """
    streams.write(completion_script(shell))
