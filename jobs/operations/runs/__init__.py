"""Runs one by one and in lists: find, select, show, explain, wait, enqueue."""
