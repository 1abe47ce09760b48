"""What operators leave in the ledger: users, sessions, tokens, pauses, and the audit of their actions."""
