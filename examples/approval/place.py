"""Place an order: ``python place.py ORDER AMOUNT PARCELS``."""

from __future__ import annotations

import sys

from approval import PlaceOrder


def main(order_id: int, amount: int, parcels: int) -> None:
    run = PlaceOrder(order_id=order_id, amount=amount, parcels=parcels).enqueue()
    print(f"order {order_id}: run {run.id}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
