"""Checks of the objective ask whether the loss is the one that was meant, and is given what it expects."""
