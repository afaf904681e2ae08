"""Scalar automatic differentiation: a table of operations, and graphs of Values that are plain data."""
