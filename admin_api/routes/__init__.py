"""Handlers: each validates, calls one service, and says what it answers."""
