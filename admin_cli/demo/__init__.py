"""`jobledger demo`: runs jobs over real files, to show the product."""
