"""Every move of a run from one state to another: claim, lease, end, cancel, replay, sweep and delete."""
