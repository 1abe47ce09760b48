"""Who may sign in: users, passwords, sessions and tokens."""
