"""`jobledger demo`: the whole product on real files."""
