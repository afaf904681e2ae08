"""Counts in many contexts, mixed."""
