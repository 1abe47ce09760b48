"""The shop's background tasks: charge an order that is approved, and write a receipt."""

from datetime import timedelta

from jobs import Retry
from jobs.django import task_options
from shop.models import Order

try:
    from django.tasks import task
except ImportError:  # Django 5.2
    from django_tasks import task


class NotApproved(Exception):
    """Nobody has approved the order yet."""


@task(takes_context=True)
@task_options(
    retry=Retry(max_attempts=500, first=timedelta(seconds=1), cap=timedelta(seconds=1), retry_on=(NotApproved,)),
    unique="while_live",
    key=lambda order_id: f"order:{order_id}",
)
def charge(context, order_id):
    """Charge an order once it is approved; until then, try again every second."""
    order = Order.objects.get(pk=order_id)
    if not order.is_approved:
        raise NotApproved(order_id)
    order.receipt = f"receipt {order_id} after {context.attempt} attempts"
    order.save()
    return order.receipt
