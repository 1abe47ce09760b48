"""A small Django project, for tests of ``jobs.django``."""
