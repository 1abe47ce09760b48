"""Alerts out: problems are told to receivers by webhook, Slack or e-mail, by jobs of their own."""
