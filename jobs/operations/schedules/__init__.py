"""Schedules as operators handle them: list, create, edit, pause, run, backfill."""
