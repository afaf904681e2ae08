"""Checks of the training step ask what it does and what it leaves."""
