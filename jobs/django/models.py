"""Runs and attempts as models that only read: for the admin pages, and for queries of an application."""
