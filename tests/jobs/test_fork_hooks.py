"""Hooks around a fork: each is called once, whenever it was registered and whatever another one raises."""

from __future__ import annotations

import pytest

from jobs import fork_hooks


def test_hooks_that_are_registered_while_another_waits_are_called_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_hooks, "_registered", [])
    called: list[str] = []

    def add(name: str, *, loads: str | None = None) -> None:
        def before() -> None:
            called.append(f"before {name}")
            if loads is not None:
                add(loads)

        fork_hooks.register(
            before=before,
            in_parent=lambda: called.append(f"parent {name}"),
            in_child=lambda: called.append(f"child {name}"),
        )

    add("first", loads="late")
    add("second")
    fork_hooks._before()
    fork_hooks._in_parent()

    assert called == [
        "before second", "before first", "before late", "parent first", "parent second", "parent late",
    ]  # fmt: skip


def test_a_hook_that_raises_keeps_no_other_from_being_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_hooks, "_registered", [])
    called: list[str] = []

    def fail() -> None:
        raise TimeoutError("over")

    fork_hooks.register(before=lambda: called.append("first"), in_parent=fail, in_child=fail)
    fork_hooks.register(before=fail, in_parent=fail, in_child=lambda: called.append("child"))

    with pytest.raises(TimeoutError):
        fork_hooks._before()
    with pytest.raises(TimeoutError):
        fork_hooks._in_child()
    assert called == ["first", "child"]
