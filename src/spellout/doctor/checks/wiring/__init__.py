"""Checks of what depends on what."""
