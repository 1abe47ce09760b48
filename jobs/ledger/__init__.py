"""Every read and write of the tables, as verbs. The only place that speaks SQL of runs.

A verb is one short function: session first, then keywords. It neither opens nor commits; the caller owns the
transaction. Verbs take ``now``; None, always in production, means the database's clock.
"""
