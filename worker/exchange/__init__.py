"""What a process exchanges with the ledger: it fetches claims, renews leases and settles attempts."""
