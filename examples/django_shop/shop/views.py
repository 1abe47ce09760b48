"""The pages: the orders with the state of their charges, a form for a new one, and a button that approves."""

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from shop.models import Order
from shop.tasks import charge


def orders(request: HttpRequest) -> HttpResponse:
    """The last orders."""
    found = list(Order.objects.order_by("-pk")[:20])
    for one in found:
        one.charge = charge.get_result(one.charge_id) if one.charge_id else None
    return render(request, "shop/orders.html", {"orders": found})


@require_POST
def order(request: HttpRequest) -> HttpResponse:
    """Place an order. The charge is enqueued first: if the order cannot be saved, the block rolls both back."""
    try:
        with transaction.atomic():
            placed = Order.objects.create(item=request.POST["item"], amount=0)
            placed.charge_id = charge.enqueue(placed.pk).id
            placed.amount = int(request.POST["amount"])
            placed.save()
    except (IntegrityError, ValueError):
        return HttpResponse("An order is for 1000 at most. Nothing was ordered.", status=409, content_type="text/plain")
    return redirect("orders")


@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve an order; its charge sees it at its next attempt."""
    found = get_object_or_404(Order, pk=pk)
    found.is_approved = True
    found.save()
    return redirect("orders")
