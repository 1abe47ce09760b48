"""The admin pages: they list and show runs, change nothing but by actions, and follow Django's permissions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

import jobs
from jobs.ledger.operators import audit_queries
from jobs.testing import Ledger

LIST = "/admin/jobledger/run/"


@pytest.fixture
def tasks(project: str) -> Any:
    from tests.django_project.shop import tasks

    return tasks


@pytest.fixture
def sign_in(tasks: Any) -> Iterator[Any]:
    """Signs a member of staff in, with these permissions."""
    from django.contrib.auth.models import Permission, User
    from django.test import Client, override_settings

    def sign_in(name: str, *permissions: str) -> Client:
        user = User.objects.create(username=name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(user)
        return client

    with override_settings(ALLOWED_HOSTS=["*"]):
        yield sign_in
    User.objects.all().delete()


def act(client: Any, action: str, *results: Any) -> str:
    answer = client.post(LIST, {"action": action, "_selected_action": [one.id for one in results]}, follow=True)
    assert answer.status_code == 200
    return " ".join(re.findall(r'<li class="(?:success|warning|error|info)">(.*?)</li>', answer.content.decode()))


def test_runs_are_listed_and_shown(performing: Ledger, tasks: Any, sign_in: Any) -> None:
    result = tasks.failing_task_value_error.enqueue()
    performing.drain()
    client = sign_in("ada", "view_run", "view_arguments")

    listed = client.get(LIST, {"state": "dead"}).content.decode()
    shown = client.get(f"{LIST}{result.id}/change/").content.decode()

    assert f"…{result.id[-8:]}" in listed
    assert "tests.django_project.shop.tasks.failing_task_value_error" in listed
    assert "This Task failed due to ValueError" in shown
    assert "1. failed" in shown
    assert 'name="_save"' not in shown


def test_arguments_need_a_permission_of_their_own(tasks: Any, sign_in: Any) -> None:
    result = tasks.noop_task.enqueue("a secret")
    page = f"{LIST}{result.id}/change/"

    assert "a secret" in sign_in("ada", "view_run", "view_arguments").get(page).content.decode()
    assert "a secret" not in sign_in("bob", "view_run").get(page).content.decode()
    assert sign_in("eve").get(page).status_code == 403
    assert sign_in("eva").get(LIST).status_code == 403


def test_the_actions_are_audited_and_follow_the_permissions(performing: Ledger, tasks: Any, sign_in: Any) -> None:
    dead, waiting = tasks.failing_task_value_error.enqueue(), tasks.noop_task.enqueue()
    performing.drain()
    waiting = tasks.noop_task.enqueue()
    may = sign_in("ada", "view_run", "replay_run", "cancel_run", "purge_run")
    may_not = sign_in("bob", "view_run")

    act(may_not, "replay_runs", dead)
    assert jobs.find(dead.id).state is jobs.RunState.DEAD

    assert "Replay: 1 done, 0 skipped" in act(may, "replay_runs", dead)
    assert "Cancel: 1 done, 0 skipped" in act(may, "cancel_runs", waiting)
    assert "Purge: 1 done, 1 skipped" in act(may, "purge_runs", dead, waiting)
    assert jobs.find(dead.id).state is jobs.RunState.QUEUED
    assert jobs.find(waiting.id).state is jobs.RunState.CANCELLED
    assert jobs.find(waiting.id).deleted_at is not None
    assert f"…{waiting.id[-8:]}" not in may.get(LIST).content.decode()
    with performing.app.database.read() as connection:
        entries = audit_queries.list_actions(connection)
    assert {(one["actor"], one["verb"]) for one in entries} == {
        ("django:ada", "replay"), ("django:ada", "cancel"), ("django:ada", "purge"),
    }  # fmt: skip


def test_nothing_can_be_added_changed_or_deleted(tasks: Any, sign_in: Any) -> None:
    result = tasks.noop_task.enqueue()
    client = sign_in("ada", "view_run", "view_arguments")

    assert client.get(f"{LIST}add/").status_code == 403
    assert client.get(f"{LIST}{result.id}/delete/").status_code == 403
    assert client.post(f"{LIST}{result.id}/change/", {"state": "dead"}).status_code == 403


def test_the_models_read_what_the_ledger_holds(tasks: Any) -> None:
    from jobs.django.models import Run

    result = tasks.noop_task.enqueue()

    run = Run.objects.get(pk=result.id)

    assert (str(run.pk), run.kind, run.state, run.created_at) == (
        result.id, tasks.noop_task.module_path, "queued", result.enqueued_at,
    )  # fmt: skip
