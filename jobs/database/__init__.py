"""The connection to the ledger's database: engine, pool, transactions, and SQL for both dialects."""
