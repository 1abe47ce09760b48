"""Services for stored values: list them, check their content, and collect those that no run refers to."""
