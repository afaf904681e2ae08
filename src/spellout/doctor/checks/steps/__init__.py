"""Checks of what a training step does and leaves."""
