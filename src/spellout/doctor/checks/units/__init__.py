"""Checks of the numbers inside a network."""
