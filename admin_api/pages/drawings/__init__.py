"""Drawings on pages: attempts a minute, the attempts of a run, its lineage, the slots of a schedule."""
