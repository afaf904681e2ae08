"""Counts that take less room: what says least of held-out lines is left out."""
