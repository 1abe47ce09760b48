"""How a process starts: a fresh interpreter, the application's imports, statement warm-up, and its first moments."""
