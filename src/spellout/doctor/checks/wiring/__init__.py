"""Checks of the wiring ask what depends on what."""
