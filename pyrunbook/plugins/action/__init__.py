"""Action plugins: what a task of a step role calls, in the controller's own process."""
