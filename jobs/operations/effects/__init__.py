"""Effects of which it is unknown whether they took place: operators list them, and record what they found out."""
