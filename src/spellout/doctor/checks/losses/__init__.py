"""Checks of the loss ask where it begins and how it falls."""
