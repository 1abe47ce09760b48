"""The addresses of the API: each route validates its input, calls one operation and returns an envelope."""
