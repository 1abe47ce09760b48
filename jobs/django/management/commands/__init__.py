"""The command that Django finds by the name of its module."""
