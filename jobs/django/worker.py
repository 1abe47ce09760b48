"""What a worker of a Django project imports: it sets Django up, which imports every ``tasks.py`` and ``jobs.py``."""

import django
from django.apps import apps
from django.db import connections

if not apps.ready:
    django.setup()
# Workers are forked from this process, and cannot share a connection.
connections.close_all()
