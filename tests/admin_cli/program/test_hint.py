from __future__ import annotations

import pytest

NEW = {"JOBLEDGER_SHELL_INIT": ""}


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("/bin/bash", 'eval "$(jobledger shell-init bash)"  to ~/.bashrc'),
        ("/usr/bin/zsh", 'eval "$(jobledger shell-init zsh)"  to ~/.zshrc'),
        ("/usr/bin/fish", "jobledger shell-init fish | source"),
    ],
)
def test_the_first_use_on_a_terminal_shows_the_hint_once(shell, line, on_terminal, tmp_path) -> None:
    env = {**NEW, "SHELL": shell}

    first, second = on_terminal("sample-list", env=env), on_terminal("sample-list", env=env)

    assert line in first.lines[-1]
    assert "hint" not in second.out
    assert (tmp_path / ".local/state/jobledger/shell-init-hint").exists()


def test_the_xdg_state_folder_is_used_when_it_is_named(on_terminal, tmp_path) -> None:
    env = {**NEW, "SHELL": "bash", "XDG_STATE_HOME": str(tmp_path / "state")}

    assert "hint" in on_terminal("sample-list", env=env).out
    assert (tmp_path / "state/jobledger/shell-init-hint").exists()


@pytest.mark.parametrize(
    "env",
    [
        {"JOBLEDGER_SHELL_INIT": "bash", "SHELL": "bash"},
        {**NEW, "SHELL": "/bin/sh"},
        {**NEW, "SHELL": "bash", "HOME": "/proc/nowhere"},
        {**NEW, "SHELL": "bash", "XDG_STATE_HOME": "/dev/null"},
    ],
    ids=["function loaded", "a shell without one", "home is not there", "state is no folder"],
)
def test_other_uses_show_no_hint(env, on_terminal) -> None:
    ended = on_terminal("sample-list", env=env)

    assert ended.code == 0
    assert "hint" not in ended.out


def test_a_pipe_and_the_setup_command_show_no_hint(piped, on_terminal) -> None:
    env = {**NEW, "SHELL": "bash"}

    assert piped("sample-list", env=env).err == ""
    assert "hint:" not in on_terminal("shell-init", "bash", env=env).out
