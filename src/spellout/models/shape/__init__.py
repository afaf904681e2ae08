"""Lengths of lines and patterns of classes of tokens: how far a line has come, and what may follow there."""
