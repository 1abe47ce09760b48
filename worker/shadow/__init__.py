"""Shadow runs: stored runs performed with the code at hand, apart from the ledger and from the network."""
