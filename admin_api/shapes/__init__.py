"""What answers hold, and what requests do. Names are the ledger's columns and the command line's."""
