"""``manage.py start``."""
