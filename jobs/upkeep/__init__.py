"""Duties that any process may do, however many do them at once: unique rows and SKIP LOCKED coordinate."""
