"""Shadow runs: what stored runs would do with other code, without doing it."""
