"""``manage.py jobs``: the whole command line, with Django's settings."""
