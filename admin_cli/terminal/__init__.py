"""How commands write: tables, records, JSON and TSV on the standard streams."""
