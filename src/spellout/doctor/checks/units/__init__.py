"""Checks of the units look at the numbers inside a network."""
