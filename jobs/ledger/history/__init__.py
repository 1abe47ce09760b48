"""History: runs that ended leave the hot tables for partitions by the time they ended, which retention drops."""
