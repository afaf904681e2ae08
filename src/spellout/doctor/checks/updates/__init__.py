"""Checks of the update ask what the user's optimizer steps did to the weights."""
