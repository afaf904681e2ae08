"""Checks of time ask what goes from one moment to the next, and from one step to the next."""
