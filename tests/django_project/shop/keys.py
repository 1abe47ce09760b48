"""Unique keys of tasks, named in their options by path."""


def of_order(order_id: int, amount: int = 1) -> str:
    return f"order:{order_id}"
