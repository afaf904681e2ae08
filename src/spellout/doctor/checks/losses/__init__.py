"""Checks of the loss and of how it falls."""
