"""Tasks: those of Django's own tests, and some that use the database."""

from datetime import timedelta

from django.db import connection

from jobs import Retry
from jobs.django import task_options
from jobs.django.framework import TaskContext
from tests.django_project.shop.models import Order

try:
    from django.tasks import task
except ImportError:
    from django_tasks import task

AGAIN = Retry(max_attempts=3, first=timedelta(seconds=1), jitter="none")


@task()
def noop_task(*args, **kwargs):
    return None


@task
def noop_task_from_bare_decorator(*args, **kwargs):
    return None


@task()
async def noop_task_async(*args, **kwargs):
    return None


@task()
def calculate_meaning_of_life():
    return 42


@task()
def failing_task_value_error():
    raise ValueError("This Task failed due to ValueError")


@task()
def failing_task_system_exit():
    raise SystemExit("This Task failed due to SystemExit")


@task()
async def failing_task_async():
    raise ValueError("This Task failed due to ValueError")


@task()
def complex_exception():
    raise ValueError(ValueError("This task failed"))


@task()
def complex_return_value():
    return lambda: True


@task(takes_context=True)
def get_task_id(context):
    return context.task_result.id


@task(takes_context=True)
def test_context(context, attempt):
    assert isinstance(context, TaskContext)
    assert context.attempt == attempt


@task(takes_context=True)
@task_options(retry=AGAIN)
def succeed_on(context, attempt):
    if context.attempt < attempt:
        raise ValueError(f"attempt {context.attempt}")
    return [context.attempt, context.task_result.worker_ids, len(context.task_result.errors)]


@task()
def charge(order_id):
    Order.objects.filter(pk=order_id).update(is_charged=True)
    return order_id


@task()
@task_options(unique="while_live", key="tests.django_project.shop.keys.of_order")
def charge_once(order_id, amount=1):
    return order_id


@task()
def server_process():
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return cursor.fetchone()[0]


@task()
async def count_orders_async():
    return await Order.objects.acount()
