"""The addresses of the API: each validates its input, calls one service and returns an envelope."""
