"""Checks of padding ask whether places that hold nothing count for something."""
