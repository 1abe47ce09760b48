"""What every request passes through: the guard, sign-in, routing, envelopes, errors, paging and shared state."""
