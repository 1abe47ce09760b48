"""Joins a transaction of the application, held by a session, a connection, a driver's connection or Django."""
