"""How a run enters the ledger: inserted once per unique key, or imported from another system."""
