"""Rows about operators: users, sessions, tokens, pauses, and the audit of their actions."""
