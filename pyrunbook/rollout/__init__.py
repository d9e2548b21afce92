"""What the steps of a blue/green update share on both platforms: rollback plans, checks and hooks."""
