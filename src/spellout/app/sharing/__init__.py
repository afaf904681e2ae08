"""Commands that take a model elsewhere."""
