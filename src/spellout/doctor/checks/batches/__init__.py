"""Checks of the batches ask what the user's steps were given."""
