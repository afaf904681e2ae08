"""Checks of the evaluation ask what it measures, and on what."""
