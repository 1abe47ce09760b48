"""What only PostgreSQL needs: connecting, LISTEN and NOTIFY, error codes, and checks of the server."""
