"""The shop: orders, the tasks that charge them, and two pages."""
