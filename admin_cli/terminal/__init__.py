"""Output of commands: tables, records, JSON and TSV on the standard streams."""
