"""The start of a process: a fresh interpreter, the application's imports, statement warm-up, and its first steps."""
