"""Request and response bodies of the API; names are the ledger's columns."""
